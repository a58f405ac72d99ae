import { createRequire } from 'node:module'
import type { AddressInfo, Socket } from 'node:net'
import type { ExecutionContext } from 'ava'
import Koa, { type ExtendableContext, type Middleware } from 'koa'
import {
  type EnumerableStore,
  type SessionMembers,
  type SessionOptions,
  type SessionRecord,
  type Sessions,
  type Store,
  type SweepableStore,
  session,
} from 'koa-session-core'
import { type Client, client } from './client.js'

/** Koa 2, whose types are those of Koa 3 as far as tests go. */
export const Koa2 = createRequire(import.meta.url)('koa-2') as typeof Koa

export type Bag = SessionMembers & Record<string, any>

/** Koa's context with a session that holds anything, so that tests need not declare `SessionData`. */
export interface Ctx extends Omit<ExtendableContext, 'session'> {
  get session(): Bag
  set session(value: object | null)
  state: Record<string, any>
}

/** Its result, if any, is the body as JSON. */
export type Handler = (ctx: Ctx, next: () => Promise<unknown>) => unknown

export interface SiteOptions extends SessionOptions {
  /** @default Koa 3 */
  readonly Koa?: typeof Koa
  /** Mount things of your own: before the session, or with `sessions` in your hands. */
  readonly before?: (app: Koa) => void
  /** Between the session and the handler. */
  readonly middleware?: readonly Middleware[]
  /** Between `new Koa()` and `listen`; koa-websocket replaces `listen`. */
  readonly wrap?: (app: Koa, sessions: Sessions) => void
}

export interface Site {
  readonly app: Koa
  readonly sessions: Sessions
  /** Such as `http://127.0.0.1:40123`. */
  readonly url: string
  /** The errors that `app.on('error')` received, where `onError` reports by default. */
  readonly errors: (Error & { code?: string })[]
  /** A browser of its own. */
  client(): Client
  close(): Promise<void>
}

/**
 * Start a Koa app with a session on a free loopback port, for the time of one test. `handler`: a function for every
 * request, or one per path.
 */
export async function site(
  t: Pick<ExecutionContext, 'teardown'>,
  handler: Handler | Readonly<Record<string, Handler>>,
  { Koa: App = Koa, before, middleware = [], wrap, ...options }: SiteOptions = {},
): Promise<Site> {
  const app = new App()
  const errors: Site['errors'] = []
  app.on('error', (error: Error) => errors.push(error))
  before?.(app)
  const sessions = session(options)
  app.use(sessions)
  for (const one of middleware) app.use(one)
  app.use(async (context, next) => {
    const ctx = context as unknown as Ctx
    const run = typeof handler === 'function' ? handler : handler[ctx.path]
    if (!run) return next()
    const value = await run(ctx, next)
    if (value !== undefined) context.body = JSON.stringify(value)
    else if (ctx.respond !== false && ctx.status === 404 && context.body === undefined) ctx.status = 204
  })
  wrap?.(app, sessions)
  const server = app.listen(0, '127.0.0.1')
  // Held up by other processes, the client would use a connection that the server has just given up.
  server.keepAliveTimeout = 0
  const sockets = new Set<Socket>()
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>(resolve => server.once('listening', resolve))
  const close = async () => {
    await sessions.close()
    const closed = new Promise(resolve => server.close(resolve))
    for (const socket of sockets) socket.destroy()
    await closed
  }
  t.teardown(close)
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { app, sessions, url, errors, client: () => client(url), close }
}

/** A promise and the functions that settle it, for handlers that wait for their test. */
export function gate<T = void>(): { promise: Promise<T>; open: (value: T) => void } {
  let open!: (value: T) => void
  const promise = new Promise<T>(resolve => {
    open = resolve
  })
  return { promise, open }
}

export type Operation = 'read' | 'write' | 'touch' | 'destroy'

export interface WatchedStore extends Store {
  /** The operations in the order they were called. */
  readonly calls: Operation[]
  /** Awaited before a call goes on to the inner store; what it throws is the store's failure. */
  before: ((operation: Operation, key: string, record?: SessionRecord) => unknown) | undefined
  /** Awaited after a call took effect: throw here for a lost reply. */
  after: ((operation: Operation, key: string) => unknown) | undefined
}

/** A store in front of `inner` that counts its calls, and can be made to fail, to wait or to be overtaken. */
export function watched(inner: Store): WatchedStore {
  const calls: Operation[] = []
  const pass = async <T>(operation: Operation, key: string, run: () => Promise<T>, record?: SessionRecord) => {
    calls.push(operation)
    await store.before?.(operation, key, record)
    const result = await run()
    await store.after?.(operation, key)
    return result
  }
  const store: WatchedStore = {
    ...abilities(inner as Partial<SweepableStore & EnumerableStore>),
    name: inner.name,
    calls,
    before: undefined,
    after: undefined,
    read: (key, call) => pass('read', key, () => inner.read(key, call)),
    write: (key, record, expected, call) => pass('write', key, () => inner.write(key, record, expected, call), record),
    touch: (key, times, expected, call) => pass('touch', key, () => inner.touch(key, times, expected, call)),
    destroy: (key, call) => pass('destroy', key, () => inner.destroy(key, call)),
    close: () => inner.close(),
  }
  return store
}

function abilities(inner: Partial<SweepableStore & EnumerableStore>): object {
  return {
    ...(inner.sweep && { sweep: inner.sweep.bind(inner) }),
    ...(inner.keys && { keys: inner.keys.bind(inner) }),
  }
}
