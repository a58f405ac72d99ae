import Bowser from 'bowser'
import type { Session, SessionInfo } from 'koa-session-core'
import { type Html, html } from './html.js'
import { type Kind, kinds, requests } from './race.js'
import type { Race, Report } from './run-race.js'
import { style } from './style.js'
import { fromNow } from './time.js'

export const goods = ['tea', 'coffee'] as const

export const unnamed = 'an unnamed device'

/** The outcome of a form. */
export interface Message {
  readonly type: 'success' | 'error'
  readonly message: string
  /** Where the form is. */
  readonly place: 'site' | 'cart' | 'devices'
}

interface Home {
  readonly user: string
  readonly cart: Readonly<Record<string, number>>
  readonly devices: readonly SessionInfo[]
  readonly session: Session
  readonly messages: readonly Message[]
  /** Sessions end with the process. */
  readonly isInMemory: boolean
}

interface Page {
  /** How the last race ended. */
  readonly reports?: readonly Report[]
  /** The browser came with a session that has ended, or used a form for which one has to be signed in. */
  readonly hasEnded: boolean
}

/** The first screen: the races. Below it the site of the visitor, who is signed in or not. */
export function page({ reports, hasEnded }: Page, body: Html): string {
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
      ${hasEnded ? ended : ''}
      ${raceSection(reports)}
      ${body}
    </main>
    <script src="/script.js" type="module"></script>
  </body>
</html>
`.text
}

const ended = html`<p class="flash" role="status">
        You are not signed in. If you were: your session was ended elsewhere, has expired, or was in the memory of a demo
        that has been restarted.
        <a href="#user">Sign in</a>
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
        <form method="post" id="race">
          ${raceButton('requests', `Send ${requests} requests at once`, 'first')}
          ${raceButton('sign-out', 'Sign out during a slow request')}
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

/** The page after the race leads back to the button. */
function raceButton(race: Race, text: string, look = ''): Html {
  return html`<button name="race" value="${race}" id="${race}" formaction="/race#${race}" class="${look}">${text}</button>`
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

/** The outcome of a form stands beside it, because after a form the page shows that part. It describes what gets the focus. */
function outcome(place: Message['place'], messages: readonly Message[]): Html {
  const shown = messages.map(({ type, message }) => html`<p class="flash ${type}" role="status">${message}</p>`)
  return html`<div id="${place}-outcome">${shown}</div>`
}

export function signInBody({ messages }: Pick<Home, 'messages'>): Html {
  return html`<section class="site" id="site">
        <h2>A small site</h2>
        ${outcome('site', messages)}
        <p>Sign in, fill a cart, see your devices. Any name will do, there is no password.</p>
        <form method="post" action="/sign-in">
          <label>Name <input name="user" id="user" aria-describedby="site-outcome" required maxlength="40" autocomplete="username"></label>
          <label><input type="checkbox" name="remember"> Remember me for 30 days</label>
          <button>Sign in</button>
        </form>
      </section>`
}

export function homeBody({ user, cart, devices, session, messages, isInMemory }: Home): Html {
  const items = Object.entries(cart).map(([item, count]) => html`<li>${item}: ${count}</li>`)
  const at = (wanted: Message['place']) => messages.filter(({ place }) => place === wanted)
  const browser =
    session.maxAge === 'session' ? 'or when you close the browser' : 'even if you close the browser before'
  return html`<section class="site" id="site">
        <h2>A small site</h2>
        ${outcome('site', at('site'))}
        <p>
          Signed in as <strong>${user}</strong>. If you do not come back, this ends ${fromNow(session.expiresAt)}, ${browser}.
          ${isInMemory ? 'It is kept in memory, so it also ends with this demo.' : ''}
        </p>
        <form method="post" action="/sign-out"><button>Sign out</button></form>
        <section id="cart">
          <h3>Cart</h3>
          ${outcome('cart', at('cart'))}
          <form method="post" action="/cart">
            ${goods.map(
              item =>
                html`<button name="item" value="${item}" id="${item}" aria-describedby="cart-outcome">Add ${item}</button>`,
            )}
            ${items.length > 0 ? html`<button formaction="/cart/empty">Empty the cart</button>` : ''}
          </form>
          <ul>${items.length > 0 ? items : html`<li>empty</li>`}</ul>
        </section>
        <section id="devices">
          <h3>Devices</h3>
          ${outcome('devices', at('devices'))}
          <ul>${devices.map(device => deviceItem(device, device.key === session.key))}</ul>
          ${devices.length > 1 ? signOutOthers : ''}
          <p>
            To see another device here, sign in as <strong>${user}</strong> in a second browser or a private window, and
            reload this page.
          </p>
        </section>
      </section>`
}

const signOutOthers = html`<form method="post" action="/devices/revoke-others"><button>Sign out all others</button></form>`

function deviceItem({ key, data, seenAt }: SessionInfo, isThis: boolean): Html {
  const name = data.device ?? unnamed
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
  if (userAgent === '') return unnamed
  const { browser, os } = Bowser.parse(userAgent)
  if (browser.name === undefined || browser.name === '') return userAgent.slice(0, 60)
  return os.name === undefined ? browser.name : `${browser.name} on ${os.name}`
}
