import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context } from 'koa'
import type { IdTransport } from './cookie.js'
import { type HeadersListener, onHeaders } from './on-headers.js'
import type { MaxAge } from './record.js'

/** The parts of a session that its client must learn. */
export interface Delivery {
  readonly id: string
  readonly maxAge: MaxAge
  readonly expiresAt: number
}

/** Header lines by lower-case name. */
type Lines = Map<string, string[]>

/**
 * Adds the session's headers to a response: the id through the transport, `Vary` and `Cache-Control`. They are set at once, so
 * that the app sees them, and again when the headers are written: Koa's error handler first removes all headers, a proxied
 * response brings its own, and a middleware outside of the session may still set some.
 */
export class Reply implements HeadersListener {
  readonly #ctx: Context
  readonly #transport: IdTransport
  /** Whether the id goes out as on a secure request. */
  #secure: boolean
  /** The client's session after this response; `null`: none. */
  #client: Delivery | 'unknown' | null
  /** The client's session when the request came. */
  #had: Delivery | 'unknown' | null
  /** The headers that the transport wrote last. */
  #written: Lines | undefined
  /** `Cache-Control` as it was before it became `no-store`. */
  #cacheControl: { readonly before: string[] } | undefined
  #opened = false
  #listens = false
  /** Runs if the app writes the headers before the session is finished. */
  #early: (() => void) | undefined

  constructor(ctx: Context, transport: IdTransport, secure: boolean, presented: boolean) {
    this.#ctx = ctx
    this.#transport = transport
    this.#secure = secure
    this.#client = this.#had = presented ? 'unknown' : null
  }

  /** Whether headers can still be set, and will reach the client. */
  get open(): boolean {
    const { req, res } = this.#ctx
    // A context that a WebSocket server made has no `res`.
    return res !== undefined && !res.headersSent && !isUpgrade(req)
  }

  /** Note that the client's id is this session's. */
  clientHas(delivery: Delivery): void {
    this.#client = this.#had = delivery
  }

  /** Whether the client came with this id. */
  isOf(id: string): boolean {
    return typeof this.#had === 'object' && this.#had?.id === id
  }

  /** Whether the response has to tell the client of `next`, or does so already. */
  differs(next: Delivery): boolean {
    return this.open && !same(this.#had, next)
  }

  /** Answer as on a secure request, or as on a plain one: under the name that the id came by. */
  answerAs(secure: boolean): void {
    this.#secure = secure
  }

  /** The handler's answer may depend on the session. */
  opened(): void {
    if (this.#opened) return
    this.#opened = true
    this.#listen()
  }

  /** Make the response deliver `next` (`null`: clear the cookie), unless the client knows already. */
  deliver(next: Delivery | null): void {
    if (!this.open || same(this.#client, next)) return
    const { res } = this.#ctx
    this.#takeBack()
    const before = linesOf(res.getHeaders())
    const maxAge = next && next.maxAge !== 'session' ? Math.max(next.expiresAt - Date.now(), 0) : 'session'
    this.#transport.write(this.#ctx, next?.id ?? null, { maxAge, secure: this.#secure })
    this.#client = next
    this.#written = added(before, linesOf(res.getHeaders()))
    this.#listen()
    this.#put()
  }

  /** Undo `deliver`, because the session is no longer valid. */
  withdraw(): void {
    if (!this.#written || !this.open) return
    this.#takeBack()
    this.#written = undefined
    this.#client = this.#had
    const { res } = this.#ctx
    const { before } = this.#cacheControl ?? {}
    this.#cacheControl = undefined
    if (!before || res.getHeader('Cache-Control') !== 'no-store') return
    if (before.length > 0) res.setHeader('Cache-Control', before)
    else res.removeHeader('Cache-Control')
  }

  /** Note that the handler and the commit have ended. */
  finish(): void {
    this.#early = undefined
    if (this.open) this.#put()
  }

  /** Run `early` if the app writes the headers before the session is finished. */
  ifEarly(early: () => void): void {
    this.#early = early
    this.#listen()
  }

  beforeHeaders(): void {
    this.#early?.()
    this.#put()
  }

  /** Whether the client has this id, or the response delivers it. */
  tells(id: string): boolean {
    return typeof this.#client === 'object' && this.#client?.id === id
  }

  /** Run `last` when the response is sent or aborted. */
  whenOver(last: () => void): void {
    const { req, res } = this.#ctx
    const { closed, stream } = (res ?? req.socket) as { closed?: boolean; stream?: { closed?: boolean } }
    if (closed || stream?.closed) setImmediate(last)
    else (res ?? req.socket).once('close', last)
  }

  #listen(): void {
    if (this.#listens || !this.open) return
    this.#listens = true
    onHeaders(this.#ctx.res, this)
  }

  /** Remove the headers that the transport wrote before, so that none is there twice. */
  #takeBack(): void {
    const { res } = this.#ctx
    const now = linesOf(res.getHeaders())
    for (const [name, ours] of this.#written ?? []) {
      const others = (now.get(name) ?? []).filter(line => !ours.includes(line))
      if (others.length > 0) res.setHeader(name, others)
      else res.removeHeader(name)
    }
  }

  #put(): void {
    if (this.#written) {
      for (const [name, ours] of this.#written) this.#putLines(name, ours)
      this.#forbidCaching()
    }
    if (this.#opened && this.#transport.vary) putVary(this.#ctx.res, this.#transport.vary)
  }

  #putLines(name: string, ours: string[]): void {
    const { res } = this.#ctx
    const now = lines(res.getHeader(name))
    if (name === 'vary') putVary(res, ours.join())
    else if (name === 'set-cookie') {
      const names = ours.map(cookieName)
      const others = now.filter(line => !names.includes(cookieName(line)))
      if (now.length !== others.length + ours.length || !ours.every(line => now.includes(line))) {
        res.setHeader('Set-Cookie', [...others, ...ours])
      }
    } else if (now.join() !== ours.join()) res.setHeader(name, ours.length === 1 ? (ours[0] as string) : ours)
  }

  /** Keep shared caches from handing one person's id to another. The app's own stricter directives stand. */
  #forbidCaching(): void {
    const { res } = this.#ctx
    const before = lines(res.getHeader('Cache-Control'))
    if (isKeptFromCaches(before.join())) return
    this.#cacheControl ??= { before }
    res.setHeader('Cache-Control', 'no-store')
  }
}

/** Whether the socket is handed over: its new owner answers without the headers of this response. */
const isUpgrade = ({ headers, upgrade }: IncomingMessage & { upgrade?: boolean }): boolean =>
  upgrade === true || (headers.upgrade !== undefined && /\bwebsocket\b/i.test(headers.upgrade))

const lines = (value: number | string | readonly string[] | undefined): string[] => [value ?? []].flat().map(String)

/** A copy: libraries that set cookies append to the array they find. */
function linesOf(headers: Readonly<Record<string, number | string | string[] | undefined>>): Lines {
  return new Map(Object.entries(headers).map(([name, value]) => [name, lines(value)]))
}

/** Headers of a body, which an error replaces, and one that has a rule of its own. */
const notOurs = /^(content-.*|transfer-encoding|etag|last-modified|cache-control)$/

/** The headers that a transport added. */
function added(before: Lines, after: Lines): Lines {
  const written: Lines = new Map()
  for (const [name, now] of after) {
    const had = before.get(name) ?? []
    if (notOurs.test(name) || now.join() === had.join()) continue
    written.set(name, name === 'set-cookie' ? now.filter(line => !had.includes(line)) : now)
  }
  return written
}

function putVary(res: ServerResponse, wanted: string): void {
  const now = res.getHeader('Vary')
  if (now === wanted) return
  if (now === undefined) {
    res.setHeader('Vary', wanted)
    return
  }
  const has = fields(lines(now).join())
  const lower = has.map(field => field.toLowerCase())
  const missing = fields(wanted).filter(field => !lower.includes(field.toLowerCase()))
  if (missing.length > 0 && !has.includes('*')) res.setHeader('Vary', [...has, ...missing].join(', '))
}

const fields = (list: string): string[] => list.split(',').flatMap(field => field.trim() || [])

/** As browsers read it (RFC 6265bis, section 5.6). */
const cookieName = (line: string): string =>
  (/^[ \t]*([^=;]*?)[ \t]*(=|;|$)/.exec(line) as RegExpExecArray)[1] as string

/**
 * Whether every shared cache leaves the response alone (RFC 9111, section 5.2). A directive may have a quoted argument that
 * holds anything, and `private` with an argument speaks of single headers only.
 */
function isKeptFromCaches(cacheControl: string): boolean {
  const directives = cacheControl.replace(/"(\\.|[^"\\])*("|$)/g, '""').split(',')
  return directives.some(directive => /^[ \t]*(private|no-store)[ \t]*$/i.test(directive))
}

function same(client: Delivery | 'unknown' | null, next: Delivery | null): boolean {
  if (client === 'unknown' || client === null || next === null) return client === next
  if (client.id !== next.id || client.maxAge !== next.maxAge) return false
  // A cookie's expiry has a resolution of one second.
  return next.maxAge === 'session' || Math.round(client.expiresAt / 1000) === Math.round(next.expiresAt / 1000)
}
