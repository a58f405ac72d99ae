import type { ExecutionContext } from 'ava'
import { memoryStore, type SessionOptions } from 'koa-session-core'
import { type Ctx, type Handler, type Site, site, type WatchedStore, watched } from './app.js'
import type { Client } from './client.js'

export const set: Handler = ctx => {
  ctx.session.a = 1
  return ctx.session.id
}
export const get: Handler = ctx => ({ ...ctx.session })

export interface SignedIn extends Site {
  readonly store: WatchedStore
  readonly inner: ReturnType<typeof memoryStore>
  /** The same site as another process would serve it, on the same store. */
  readonly elsewhere: Site
  /** Has a session with `{ a: 1 }`. */
  readonly browser: Client
  readonly id: string
}

/** A site on a watched store, in two processes as far as the store can tell, and a browser that has a session. */
export async function signedIn(
  t: Pick<ExecutionContext, 'teardown'>,
  handlers: Record<string, Handler>,
  options: SessionOptions = {},
): Promise<SignedIn> {
  const inner = memoryStore()
  const store = watched(inner)
  const all = { '/set': set, '/get': get, '/end': (ctx: Ctx) => ctx.session.destroy(), ...handlers }
  const here = await site(t, all, { ...options, store })
  const elsewhere = await site(t, all, { ...options, store: inner })
  const browser = here.client()
  const id: string = (await browser.get('/set')).json
  store.calls.length = 0
  return { ...here, elsewhere, store, inner, browser, id }
}

/** Before the next write arrives in the store, have another process change the session. */
export function overtaken(store: WatchedStore, change: () => Promise<unknown>): void {
  store.before = async operation => {
    if (operation !== 'write') return
    store.before = undefined
    await change()
  }
}

/** Let one operation fail: its write, and the read that is to find out what became of it. */
export function failOnce(store: WatchedStore): void {
  store.before = operation => {
    if (operation !== 'write') store.before = undefined
    throw new Error('down')
  }
}
