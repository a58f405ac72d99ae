import Bowser from 'bowser'
import type { Session, SessionInfo } from 'koa-session-core'
import { type Html, html } from './html.js'
import { type Kind, kinds, requests } from './race.js'
import type { Report } from './run-race.js'
import { style } from './style.js'
import { fromNow } from './time.js'

export interface Message {
  readonly type: string
  readonly message: string
}

interface Home {
  readonly user: string
  readonly cart: Readonly<Record<string, number>>
  readonly devices: readonly SessionInfo[]
  readonly session: Session
}

interface Page {
  readonly messages: readonly Message[]
  /** How the last race ended. */
  readonly reports?: readonly Report[]
  /** The browser came with the session of somebody who was signed in, and it has ended. */
  readonly wasSignedOut: boolean
}

/** The first screen: the races. Below it the site of the visitor, who is signed in or not. */
export function page({ messages, reports, wasSignedOut }: Page, body: Html): string {
  const flash = messages.map(({ type, message }) => html`<p class="flash ${type}" role="status">${message}</p>`)
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>koa-session-core: a demo</title>
    <link rel="icon" href="data:,">
    <style>${style}</style>
  </head>
  <body>
    <main>
      <h1>Sessions that lose nothing</h1>
      ${wasSignedOut ? ended : ''}
      ${flash}
      ${raceSection(reports)}
      ${body}
    </main>
    <script src="/script.js" type="module"></script>
  </body>
</html>
`.text
}

const ended = html`<p class="flash" role="status">
        You are no longer signed in here. Your session was ended elsewhere, or it has expired.
        <a href="#user">Sign in again</a>
      </p>`

const titles: Readonly<Record<Kind, string>> = { ordinary: 'An ordinary session', ours: 'koa-session-core' }
const texts: Readonly<Record<Kind, string>> = {
  ordinary: 'Loads, changes and saves a copy, as most session libraries do. Written for this page.',
  ours: 'Saves what a request changed, on top of what others saved.',
}

function raceSection(reports: readonly Report[] = []): Html {
  return html`<section>
        <p>
          ${requests} requests of one visitor arrive at once, and each adds a note to the session.
          How many notes are there afterwards?
        </p>
        <form method="post" action="/race" id="race">
          <button name="race" value="requests" class="first">Send ${requests} requests at once</button>
          <button name="race" value="sign-out">Sign out during a slow request</button>
        </form>
        <div class="sides">${kinds.map(kind =>
          side(
            kind,
            reports.find(report => report.kind === kind),
          ),
        )}</div>
        <p class="soft">
          Both sides run the same handlers. The server sends the requests to itself, because a browser sends only six at a time.
        </p>
      </section>`
}

function side(kind: Kind, report: Report = { kind, text: 'not tried yet' }): Html {
  const { text, verdict = '', reason = '' } = report
  return html`
          <section>
            <h2>${titles[kind]}</h2>
            <p class="soft">${texts[kind]}</p>
            <output id="${kind}" class="${verdict}"><strong>${text}</strong><span>${reason}</span></output>
          </section>`
}

export const signInBody = html`<section class="site">
        <h2>A small site</h2>
        <p>Sign in, fill a cart, see your devices. Any name will do, there is no password.</p>
        <form method="post" action="/sign-in">
          <label>Name <input name="user" id="user" required maxlength="40" autocomplete="username"></label>
          <label><input type="checkbox" name="remember"> Remember me for 30 days</label>
          <button>Sign in</button>
        </form>
      </section>`

export function homeBody({ user, cart, devices, session }: Home): Html {
  const items = Object.entries(cart).map(([item, count]) => html`<li>${item}: ${count}</li>`)
  const browser =
    session.maxAge === 'session' ? 'or when you close the browser' : 'even if you close the browser before'
  return html`<section class="site">
        <h2>A small site</h2>
        <p>
          Signed in as <strong>${user}</strong>. If you do not come back, this ends ${fromNow(session.expiresAt)}, ${browser}.
        </p>
        <form method="post" action="/sign-out"><button>Sign out</button></form>
        <h3>Cart</h3>
        <ul id="cart">${items.length > 0 ? items : html`<li>empty</li>`}</ul>
        <form method="post" action="/cart">
          <button name="item" value="tea">Add tea</button>
          <button name="item" value="coffee">Add coffee</button>
          <button formaction="/cart/empty">Empty the cart</button>
        </form>
        <h3>Devices</h3>
        <p>Sign in with a second browser or a private window, and it is listed here.</p>
        <ul class="devices">${devices.map(device => deviceItem(device, device.key === session.key))}</ul>
        <form method="post" action="/devices/revoke-others"><button>Sign out all others</button></form>
      </section>`
}

function deviceItem({ key, data, seenAt }: SessionInfo, isThis: boolean): Html {
  const name = data.device ?? 'an unnamed device'
  const which = isThis ? `${name}, this device` : name
  return html`
          <li>
            <span>${which}, ${fromNow(seenAt)}</span>
            <form method="post" action="/devices/revoke">
              <input type="hidden" name="key" value="${key}"><button aria-label="Sign out ${which}">Sign out</button>
            </form>
          </li>`
}

/** Such as "Chrome on Linux". */
export function deviceName(userAgent: string): string {
  if (userAgent === '') return 'an unnamed device'
  const { browser, os } = Bowser.parse(userAgent)
  if (browser.name === undefined || browser.name === '') return userAgent.slice(0, 60)
  return os.name === undefined ? browser.name : `${browser.name} on ${os.name}`
}
