import type { Context } from 'koa'
import type { IdTransport } from './cookie.js'
import type { MaxAge } from './record.js'

/** A session as its client is to know it. */
export interface Delivery {
  readonly id: string
  readonly maxAge: MaxAge
  readonly expiresAt: number
}

type Headers = Record<string, string | string[]>

/** Everything the session adds to a response: the id by way of the transport, `Vary` and `Cache-Control`. */
export class Reply {
  readonly #ctx: Context
  readonly #transport: IdTransport
  /** Whether the id goes out as on a secure request. */
  #secure: boolean
  /** What the client has: `null` when it has nothing. */
  #client: Delivery | 'unknown' | null
  /** What the transport wrote, for Koa's error handler, which starts from no headers. */
  #written: Headers | undefined

  constructor(ctx: Context, transport: IdTransport, secure: boolean, presented: boolean) {
    this.#ctx = ctx
    this.#transport = transport
    this.#secure = secure
    this.#client = presented ? 'unknown' : null
  }

  /** Whether headers can still be set. */
  get open(): boolean {
    // A context that a WebSocket server made has no `res`.
    return this.#ctx.res !== undefined && !this.#ctx.res.headersSent
  }

  /** The client's id was found to be this session's. */
  clientHas(delivery: Delivery): void {
    this.#client = delivery
  }

  /** Answer as on a secure request, or as on a plain one: under the name that the id came by. */
  answerAs(secure: boolean): void {
    this.#secure = secure
  }

  /** Make the response say `next` (`null`: that the session ended), unless the client knows already. */
  deliver(next: Delivery | null): void {
    if (!this.open || same(this.#client, next)) return
    const ctx = this.#ctx
    const before = ctx.res.getHeaders() as Headers
    const maxAge = next && next.maxAge !== 'session' ? Math.max(next.expiresAt - Date.now(), 0) : 'session'
    this.#transport.write(ctx, next?.id ?? null, { maxAge, secure: this.#secure })
    this.#client = next
    this.#written ??= {}
    for (const [name, value] of Object.entries(ctx.res.getHeaders() as Headers)) {
      const had = [before[name] ?? []].flat().map(String)
      const added = [value].flat().filter(one => !had.includes(String(one)))
      if (added.length > 0) this.#written[name] = Array.isArray(value) ? added : value
    }
    this.#forbidCaching(ctx)
  }

  /** A shared cache must not hand one person's id to another; what the app decided already stands. */
  #forbidCaching(ctx: Context): void {
    if (!/\b(private|no-store)\b/i.test(ctx.response.get('Cache-Control'))) ctx.set('Cache-Control', 'no-store')
  }

  finish(opened: boolean): void {
    if (!this.open) return
    const ctx = this.#ctx
    if (opened && this.#transport.vary) ctx.vary(this.#transport.vary)
    if (this.#written) this.#forbidCaching(ctx)
  }

  /** The headers that must survive Koa's error handler. */
  get headers(): Headers | undefined {
    if (!this.open) return undefined
    const { response } = this.#ctx
    const kept: Headers = { ...this.#written }
    // Without a cookie, what the app said about caching was meant for the page, not for the error.
    const names = this.#written ? ['Vary', 'Cache-Control'] : ['Vary']
    for (const name of names) if (response.get(name)) kept[name] = response.get(name)
    return Object.keys(kept).length > 0 ? kept : undefined
  }
}

function same(client: Delivery | 'unknown' | null, next: Delivery | null): boolean {
  if (client === 'unknown' || client === null || next === null) return client === next
  if (client.id !== next.id || client.maxAge !== next.maxAge) return false
  // A cookie's expiry has a resolution of one second.
  return next.maxAge === 'session' || Math.round(client.expiresAt / 1000) === Math.round(next.expiresAt / 1000)
}
