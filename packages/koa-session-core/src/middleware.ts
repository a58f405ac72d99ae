import type Koa from 'koa'
import type { Context, ExtendableContext } from 'koa'
import { type Admin, admin } from './admin.js'
import { adviseOnMembers, assertNotDeleted } from './context-advice.js'
import type { Presented } from './cookie.js'
import { adviseOnProxy } from './cookie-advice.js'
import { type Flash, flashOf } from './flash.js'
import { lookUp } from './lookup.js'
import { resolveOptions, type SessionOptions } from './options.js'
import { Reply } from './reply.js'
import { restrictionOf } from './restriction.js'
import { Runtime } from './runtime.js'
import type { Session, SessionData } from './session.js'
import { Sweeper } from './sweeper.js'
import { Visit } from './visit.js'
import { warnOnce } from './warn-once.js'

declare module 'koa' {
  interface ExtendableContext {
    get session(): Session
    /** An object replaces the data; `null` ends the session when the handler has ended. */
    set session(value: SessionData | null)
    flash: Flash
  }
}

/** The middleware, and on it what scripts, sockets and device lists need. */
export interface Sessions extends Admin {
  (ctx: ExtendableContext, next: () => Promise<unknown>): Promise<void>
}

const mounted: unique symbol = Symbol.for('koa-session-core.mounted')

/**
 * Sessions for Koa: `app.use(session())` sets `ctx.session` and `ctx.flash`.
 *
 * Throws a `TypeError` naming option and rule when an option is wrong or unknown.
 */
export function session(options: SessionOptions = {}): Sessions {
  const resolved = resolveOptions(options)
  const runtime = new Runtime(resolved)
  const sweeper = new Sweeper(runtime)
  if (resolved.isDefaultStore && process.env.NODE_ENV === 'production') {
    warnOnce('KOA_SESSION_MEMORY_STORE', 'sessions are kept in memory: they end with this process; set option store')
  }
  let advised: Koa | undefined

  const middleware = async (context: ExtendableContext, next: () => Promise<unknown>): Promise<void> => {
    const ctx = context as Context
    if (Object.hasOwn(ctx, mounted)) throw new TypeError('session() is mounted twice on this request; use it once')
    runtime.app ??= ctx.app
    if (ctx.app !== advised) {
      advised = ctx.app
      adviseOnMembers(ctx.app.context)
    }
    sweeper.start()
    adviseOnProxy(ctx)
    const { secure } = ctx
    const presented = resolved.transport.present(ctx.req, secure)
    const restriction = restrictionOf(ctx, resolved.transport, presented?.id !== undefined)
    const reply = new Reply(ctx, resolved.transport, secure, presented !== undefined && !restriction)
    const visit = new Visit(runtime, { ctx, reply, restriction })
    if (presented?.id !== undefined) await find(runtime, visit, reply, ctx, secure, presented)
    mount(ctx, visit)
    try {
      await next()
      assertNotDeleted(ctx)
      if (visit.finishIdle()) return
    } catch (error) {
      const failure = await visit.finish(!isAnswer(error))
      if (failure !== undefined) visit.report(failure)
      throw error
    }
    const failure = await visit.finish(false)
    if (failure !== undefined) throw failure
  }
  return Object.assign(middleware, admin(runtime, sweeper))
}

/** Find the session that the client names. */
async function find(runtime: Runtime, visit: Visit, reply: Reply, ctx: Context, secure: boolean, first: Presented) {
  const found = await lookUp(runtime, ctx.req, secure, first, error => visit.report(error))
  if (!found) return
  const { id, key, state, error } = found
  reply.answerAs(found.secure)
  if (error) visit.unread({ key, error })
  else if (state?.kind === 'live') {
    visit.resume(id, state)
    reply.clientHas({ id, maxAge: state.maxAge, expiresAt: state.record.expiresAt })
    visit.keepAlive(state)
  } else if (state) visit.entry.lost = { key, state }
}

function mount(ctx: Context, visit: Visit): void {
  // Behind a function: whoever inspects a context to its last hidden property finds no id.
  Object.defineProperty(ctx, mounted, { value: () => visit })
  Object.defineProperty(ctx, 'session', sessionProperty)
  Object.defineProperty(ctx, 'flash', flashProperty)
}

interface Mounted {
  readonly [mounted]: () => Visit
}

// The same functions for every request: closures made anew would cost more than the rest of the middleware.
const sessionProperty: PropertyDescriptor & ThisType<Mounted> = {
  get() {
    return this[mounted]().session
  },
  set(value: SessionData | null) {
    this[mounted]().session = value
  },
  configurable: true,
  enumerable: true,
}

const flashProperty: PropertyDescriptor & ThisType<Mounted> = {
  get() {
    const value = flashOf(this[mounted]())
    Object.defineProperty(this, 'flash', { ...assignable, value })
    return value
  },
  set(value: unknown) {
    Object.defineProperty(this, 'flash', { ...assignable, value })
  },
  configurable: true,
  enumerable: true,
}

const assignable: PropertyDescriptor = { writable: true, configurable: true, enumerable: true }

/** Whether a handler that threw has answered: an HTTP error below 500 is an answer, anything else a failure. */
function isAnswer(error: unknown): boolean {
  try {
    const { status, statusCode } = (error ?? {}) as { status?: unknown; statusCode?: unknown }
    const code = status ?? statusCode
    return typeof code === 'number' && code >= 100 && code < 500
  } catch {
    // Anything can be thrown, also an object that does not let itself be read.
    return false
  }
}
