import Bowser from 'bowser'
import type { Session, SessionInfo } from 'koa-session-core'
import { type Html, html } from './html.js'
import { type Kind, kinds, type Outcome, requests } from './race.js'
import { fromNow } from './time.js'

export interface Message {
  readonly type: string
  readonly message: string
}

export interface Race {
  readonly name: 'requests' | 'sign-out'
  readonly outcomes: Readonly<Record<Kind, Outcome>>
}

interface Home {
  readonly user: string
  readonly cart: Readonly<Record<string, number>>
  readonly devices: readonly SessionInfo[]
  readonly session: Session
}

interface Page {
  readonly messages: readonly Message[]
  readonly race?: Race | undefined
}

/** The first screen: the races. Below it the site of the visitor, who is signed in or not. */
export function page({ messages, race }: Page, body: Html): string {
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
      ${flash}
      ${raceSection(race)}
      ${body}
    </main>
    <script src="/script.js" type="module"></script>
  </body>
</html>
`.text
}

const titles: Readonly<Record<Kind, string>> = { ordinary: 'An ordinary session', ours: 'koa-session-core' }
const texts: Readonly<Record<Kind, string>> = {
  ordinary: 'Each request loads all data, changes its copy, and stores all of it. Written for this page.',
  ours: 'Each request stores what it changed, on top of what others stored.',
}

function raceSection(race: Race | undefined): Html {
  return html`<section>
    <p>A browser sends many requests at once. What is in the session afterwards?</p>
    <form method="post" action="/race" id="race">
      <button name="race" value="requests">Send ${requests} requests at once</button>
      <button name="race" value="sign-out">Sign out during a slow request</button>
    </form>
    <div class="sides">${kinds.map(kind => side(kind, race))}</div>
  </section>`
}

function side(kind: Kind, race: Race | undefined): Html {
  const outcome = race?.outcomes[kind]
  const { text, isRight } = race && outcome ? told(race.name, outcome) : { text: 'not tried yet', isRight: undefined }
  const verdict = isRight === undefined ? '' : isRight ? 'right' : 'wrong'
  return html`<section>
    <h2>${titles[kind]}</h2>
    <p>${texts[kind]}</p>
    <p><output id="${kind}" class="${verdict}">${text}</output></p>
  </section>`
}

function told(name: Race['name'], { kept, isSignedIn }: Outcome): { text: string; isRight: boolean } {
  return name === 'requests'
    ? { text: `kept ${kept}, lost ${requests - kept}`, isRight: kept === requests }
    : { text: isSignedIn ? 'signed in again' : 'signed out', isRight: !isSignedIn }
}

/** `wasSignedOut`: the browser came with the cookie of a session that has ended. */
export function signInBody({ wasSignedOut }: { readonly wasSignedOut: boolean }): Html {
  const notice = wasSignedOut
    ? html`<p class="flash" role="status">You are signed out: on another device, or because you were away for long.</p>`
    : html``
  return html`<section>
    <h2>A small site</h2>
    ${notice}
    <p>Sign in, fill a cart, see your devices. Any name will do, there is no password.</p>
    <form method="post" action="/sign-in">
      <label>Name <input name="user" required maxlength="40" autocomplete="username"></label>
      <label><input type="checkbox" name="remember"> Remember me for 30 days</label>
      <button>Sign in</button>
    </form>
  </section>`
}

export function homeBody({ user, cart, devices, session }: Home): Html {
  const items = Object.entries(cart).map(([item, count]) => html`<li>${item}: ${count}</li>`)
  const browser =
    session.maxAge === 'session' ? 'or when you close the browser' : 'even if you close the browser before'
  return html`<section>
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
    </form>
    <form method="post" action="/cart/empty"><button>Empty the cart</button></form>
    <h3>Devices</h3>
    <p>Sign in with a second browser, and it is listed here.</p>
    <ul>${devices.map(device => deviceItem(device, device.key === session.key))}</ul>
    <form method="post" action="/devices/revoke-others"><button>Sign out all others</button></form>
  </section>`
}

function deviceItem({ key, data, seenAt }: SessionInfo, isThis: boolean): Html {
  const name = data.device ?? 'an unnamed device'
  return html`<li>
    ${name}${isThis ? ', this device' : ''}, ${fromNow(seenAt)}
    <form method="post" action="/devices/revoke">
      <input type="hidden" name="key" value="${key}"><button aria-label="Sign out ${name}">Sign out</button>
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

const style = html`
      :root { --good: #17642f; --bad: #a3160c; --line: #8a8a8a; --note: #e8f0fe }
      @media (prefers-color-scheme: dark) { :root { --good: #7fd79a; --bad: #ff9d94; --note: #1f2a3a } }
      body { font: 1.0625rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 1.5rem auto; padding: 0 1rem }
      h1 { font-size: 1.6rem; line-height: 1.2 } h2 { font-size: 1.2rem; margin: 0 } h3 { font-size: 1.05rem }
      form { margin: 0.75rem 0; display: flex; flex-wrap: wrap; gap: 0.75rem; align-items: center }
      button, input:not([type=checkbox]) { font: inherit; min-height: 2.75rem; padding: 0.25rem 1rem }
      input[type=checkbox] { width: 1.25rem; height: 1.25rem; vertical-align: middle }
      :focus-visible { outline: 3px solid currentColor; outline-offset: 2px }
      .sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(16rem, 1fr)); gap: 1rem }
      .sides section { border: 1px solid var(--line); border-radius: 0.5rem; padding: 1rem }
      output { display: block; font-size: 1.4rem; font-weight: 600; min-height: 2rem }
      .right { color: var(--good) } .wrong { color: var(--bad) }
      main > section + section { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: 1.5rem }
      li { margin: 0.5rem 0 } li form { display: inline-flex; margin: 0 0 0 0.5rem }
      .flash { padding: 0.5rem 1rem; background: var(--note) } .flash.error { border-left: 4px solid var(--bad) }
`
