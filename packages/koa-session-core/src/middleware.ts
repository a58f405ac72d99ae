import type Koa from 'koa'
import type { Context, ExtendableContext } from 'koa'
import { type Admin, admin } from './admin.js'
import { adopt, type Successor } from './adopt.js'
import { adviseOnMembers, assertNotDeleted } from './context-advice.js'
import { adviseOnProxy } from './cookie-advice.js'
import { Engine } from './engine.js'
import { isSessionError } from './errors.js'
import { type Flash, flashOf } from './flash.js'
import { type Lookup, lookUp } from './lookup.js'
import { Reporter } from './on-error.js'
import { resolveOptions, type SessionOptions } from './options.js'
import { Reply } from './reply.js'
import { RequestSession } from './request-session.js'
import { restrictionOf } from './restriction.js'
import type { Session, SessionData } from './session.js'
import { Sweeper } from './sweeper.js'
import { warnOnce } from './warn-once.js'

declare module 'koa' {
  interface ExtendableContext {
    get session(): Session
    /** An object replaces the data; `null` destroys the session after the handler. */
    set session(value: SessionData | null)
    flash: Flash
  }
}

/** The middleware, with methods for scripts, sockets and device lists. */
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
  const { transport } = resolved
  const engine = new Engine(resolved)
  const reporter = new Reporter(resolved.onError)
  const report = (error: unknown) => reporter.report(error)
  const sweeper = new Sweeper(engine.store, resolved.sweepInterval, report)
  if (resolved.isDefaultStore && process.env.NODE_ENV === 'production') {
    warnOnce('KOA_SESSION_MEMORY_STORE', 'sessions are kept in memory and end with this process: set the option store')
  }
  let advised: Koa | undefined

  const middleware = async (context: ExtendableContext, next: () => Promise<unknown>): Promise<void> => {
    const ctx = context as Context
    if (Object.hasOwn(ctx, mounted))
      throw new TypeError('session() is mounted twice on this request: call app.use(session()) once')
    reporter.app ??= ctx.app
    if (ctx.app !== advised) {
      advised = ctx.app
      adviseOnMembers(ctx.app.context)
    }
    sweeper.start()
    adviseOnProxy(ctx)
    const { secure } = ctx
    const presented = transport.present(ctx.req, secure)
    const restriction = restrictionOf(ctx, transport, presented?.id !== undefined)
    const reply = new Reply(ctx, transport, secure, presented !== undefined && !restriction)
    const reportHere = (error: unknown) => reporter.report(error, ctx)
    const request = new RequestSession(engine, resolved, reportHere, { reply, restriction })
    let found: Lookup | undefined
    if (presented?.id !== undefined) {
      found = await lookUp(engine, transport, ctx.req, secure, presented, reportHere)
      if (found) load(request, reply, found)
    }
    // A late request under an id that another login replaced must not replace that login.
    const adopting = resolved.adopt
    if (adopting && !restriction && !found?.state && !found?.error) {
      await takeOver(request, () => adopt(engine, adopting, ctx, resolved, reportHere))
    }
    mount(ctx, request)
    try {
      await next()
      assertNotDeleted(ctx)
      if (request.finishIdle()) return
    } catch (error) {
      const failure = await request.finish(!isAnswer(error))
      if (failure !== undefined) reportHere(failure)
      throw error
    }
    const failure = await request.finish(false)
    if (failure !== undefined) throw failure
  }
  return Object.assign(middleware, admin(engine, resolved, transport, sweeper, report))
}

/** Let the request work on what was found under the id that the client named. */
function load(request: RequestSession, reply: Reply, { id, key, state, error, secure }: Lookup): void {
  reply.answerAs(secure)
  if (error) request.unread(key, error)
  else if (state?.kind === 'live') request.resume(id, state)
  else if (state) request.draft.lose(key, state)
}

/** Let the request work on the session that takes over what another library kept. */
async function takeOver(request: RequestSession, find: () => Promise<Successor | undefined>): Promise<void> {
  try {
    const successor = await find()
    if (!successor) return
    const { id, state } = successor
    if (state.kind === 'live') request.resume(id, state, 'adopted')
    else request.draft.lose(state.key, state)
  } catch (error) {
    if (!isSessionError(error)) throw error
    request.unread(request.draft.key, error)
  }
}

function mount(ctx: Context & Partial<Mounted>, request: RequestSession): void {
  // Behind a function, so that inspecting a context with its hidden properties shows no id.
  ctx[mounted] = () => request
  Object.defineProperty(ctx, 'session', sessionProperty)
  Object.defineProperty(ctx, 'flash', flashProperty)
}

interface Mounted {
  [mounted]: () => RequestSession
}

// The same functions for every request: new closures would cost more than the rest of the middleware.
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
    // Anything can be thrown, even an object that throws when it is read.
    return false
  }
}
