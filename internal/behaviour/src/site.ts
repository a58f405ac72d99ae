import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import Koa, { type Context, type ExtendableContext, type Middleware } from 'koa'
import {
  type Flash,
  type SessionMembers,
  type SessionOptions,
  type Sessions,
  type Store,
  session,
} from 'koa-session-core'
import { gate } from './gate.js'
import { type WatchedStore, watched } from './watched-store.js'

type Used = 'status' | 'body' | 'type' | 'throw' | 'set' | 'redirect' | 'req' | 'res' | 'respond' | 'app' | 'cookies'

/** A session that holds anything, whatever data this program declares. */
interface LooseSession extends SessionMembers {
  update(change: (data: Record<string, any>) => void): Promise<boolean>
  [name: string]: any
}

/** The context of a test's handler: a Koa context whose session holds anything. */
export interface Page extends Pick<ExtendableContext, Used> {
  get session(): LooseSession
  set session(data: object | null)
  flash: Flash
}

/** Runs on the server. What it returns is the `value` of the answer; at `pause()` it waits until the test goes on. */
export type Handler = (page: Page, pause: () => Promise<void>) => unknown

/** Middleware outside and inside of the session. */
export interface Around {
  readonly outside?: Middleware
  readonly inside?: Middleware
}

/** A handler that a test has put under a path of its own. */
export interface Posted {
  readonly path: string
  /** Resolves when the handler waits at `pause()`. */
  readonly paused: Promise<void>
  resume(): void
}

/** A Koa app with sessions on a port of its own, whose handlers are functions in the test. */
export class Site {
  readonly app = new Koa()
  readonly store: WatchedStore
  readonly sessions: Sessions
  /** The errors that `onError` received. */
  readonly reported: unknown[] = []
  /** The errors of handlers and commits, as the app receives them. */
  readonly thrown: unknown[] = []
  port = 0
  readonly #server: Server
  readonly #handlers = new Map<string, { handler: Handler; pause: () => Promise<void> }>()

  private constructor(options: SessionOptions & { store: WatchedStore }, { outside, inside }: Around) {
    this.store = options.store
    this.sessions = session({ onError: error => this.reported.push(error), ...options })
    this.app.on('error', error => this.thrown.push(error))
    if (outside) this.app.use(outside)
    this.app.use(this.sessions)
    if (inside) this.app.use(inside)
    this.app.use(ctx => this.#run(ctx))
    this.#server = createServer(this.app.callback())
    // Held up by other processes, a browser would use a connection that the server has just given up.
    this.#server.keepAliveTimeout = 0
  }

  /** `store` keeps sessions; `subject` is `data.user` unless told otherwise. */
  static async start(options: SessionOptions & { store: Store }, around: Around = {}): Promise<Site> {
    const store = watched(options.store)
    const subject = (data: object) => (data as { user?: string }).user
    const site = new Site({ subject, ...options, store }, around)
    site.#server.listen(0, '127.0.0.1')
    await once(site.#server, 'listening')
    site.port = (site.#server.address() as AddressInfo).port
    return site
  }

  post(handler: Handler): Posted {
    const paused = gate()
    const resumed = gate()
    const pause = () => {
      paused.open()
      return resumed.opened
    }
    const path = `/${this.#handlers.size}`
    this.#handlers.set(path, { handler, pause })
    return { path, paused: paused.opened, resume: resumed.open }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await this.sessions.close()
  }

  async #run(ctx: Context): Promise<void> {
    const posted = this.#handlers.get(ctx.path)
    if (!posted) return
    const value = await posted.handler(ctx as unknown as Page, posted.pause)
    if (value !== undefined) ctx.body = { value }
    else if (ctx.body === undefined && ctx.respond !== false && !ctx.res.headersSent) ctx.body = 'done'
  }
}
