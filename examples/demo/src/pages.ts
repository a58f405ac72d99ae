import type { Session, SessionInfo } from 'koa-session-core'
import { type Html, html } from './html.js'

export interface Message {
  readonly type: string
  readonly message: string
}

interface Home {
  readonly user: string
  readonly cart: Readonly<Record<string, number>>
  readonly messages: readonly Message[]
  readonly devices: readonly SessionInfo[]
  readonly session: Session
}

export function signInPage(messages: readonly Message[]): string {
  return page(
    messages,
    html`<h2>Sign in</h2>
    <p>Any name will do, there is no password.</p>
    <form method="post" action="/sign-in">
      <label>Name <input name="user" required maxlength="40" autofocus></label>
      <label><input type="checkbox" name="remember"> Remember me for 30 days</label>
      <button>Sign in</button>
    </form>`,
  )
}

export function homePage({ user, cart, messages, devices, session }: Home): string {
  const items = Object.entries(cart).map(([item, count]) => html`<li>${item}: ${count}</li>`)
  const browser =
    session.maxAge === 'session' ? 'or when the browser is closed' : 'even if the browser is closed before'
  return page(
    messages,
    html`<p>
      Signed in as <strong>${user}</strong>. Without another request this ends ${time(session.expiresAt)}, ${browser}.
    </p>
    <form method="post" action="/sign-out"><button>Sign out</button></form>

    <h2>Cart</h2>
    <ul id="cart">${items}</ul>
    <form method="post" action="/cart">
      <button name="item" value="tea">Add tea</button>
      <button name="item" value="coffee">Add coffee</button>
      <button type="button" id="parallel">Add 20 teas by 20 parallel requests</button>
    </form>
    <form method="post" action="/cart/empty"><button>Empty the cart</button></form>
    <p><output id="result"></output></p>

    <h2>Devices</h2>
    <p>Sign in with a second browser, and it shows up here.</p>
    <ul>${devices.map(device => deviceItem(device, device.key === session.key))}</ul>
    <form method="post" action="/devices/revoke-others"><button>Sign out all others</button></form>
    <script src="/script.js"></script>`,
  )
}

function deviceItem({ key, data, createdAt, seenAt }: SessionInfo, isThis: boolean): Html {
  return html`<li>
    ${data.device ?? 'an unnamed device'}${isThis ? ' (this one)' : ''},
    signed in ${time(createdAt)}, last seen ${time(seenAt)}
    <form method="post" action="/devices/revoke">
      <input type="hidden" name="key" value="${key}"><button>Sign out</button>
    </form>
  </li>`
}

function page(messages: readonly Message[], body: Html): string {
  const flash = messages.map(({ type, message }) => html`<p class="flash ${type}" role="status">${message}</p>`)
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>koa-session-core</title>
    <style>
      body { font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem }
      label { display: block; margin: 0.5rem 0 }
      form { margin: 0.5rem 0 }
      li form { display: inline }
      .flash { padding: 0.5rem 1rem; background: #e6f4ea }
      .flash.error { background: #fce8e6 }
    </style>
  </head>
  <body>
    <h1>koa-session-core</h1>
    ${flash}
    ${body}
  </body>
</html>
`.text
}

const time = (instant: number): string => new Date(instant).toLocaleString('en-GB', { timeZoneName: 'short' })

/** Fires the parallel requests and counts what they left. */
export const script = `
const count = async () => (await (await fetch('/cart')).json()).tea ?? 0
const add = () => fetch('/cart', { method: 'POST', body: new URLSearchParams({ item: 'tea' }), redirect: 'manual' })

document.querySelector('#parallel').addEventListener('click', async () => {
  const before = await count()
  await Promise.all(Array.from({ length: 20 }, add))
  const added = (await count()) - before
  document.querySelector('#result').textContent =
    'Sent 20 requests at once; the cart has ' + added + ' more. Lost: ' + (20 - added) + '.'
})
`
