import type { Context } from 'koa'
import { isSessionError } from './errors.js'
import { GuardedCodec } from './guarded-codec.js'
import { GuardedStore } from './guarded-store.js'
import type { ResolvedOptions } from './options.js'
import { Revocations } from './revocation.js'
import { StoredSessions } from './stored-sessions.js'

/** What all requests of one `session()` share. */
export class Runtime {
  readonly options: ResolvedOptions
  readonly codec: GuardedCodec
  readonly store: GuardedStore
  readonly sessions: StoredSessions
  readonly revocations: Revocations
  /** The app of the first request. Not its context, which is one person's. */
  app: Context['app'] | undefined

  constructor(options: ResolvedOptions) {
    this.options = options
    this.codec = new GuardedCodec(options.codec)
    this.store = new GuardedStore(options)
    this.sessions = new StoredSessions(this.store)
    this.revocations = new Revocations(this.store, this.sessions)
  }

  /**
   * Hand a failure that no request can carry to `onError`. `ctx` is of the request whose failure it is: a failure outside of
   * any comes without one.
   */
  report(error: unknown, ctx?: Context): void {
    const { onError } = this.options
    const failed = () => warnOfListener(error, onError ? 'option onError' : "an app's listener to 'error'", ctx)
    try {
      if (!onError) this.#emit(error, ctx)
      // It may be asynchronous, whatever its type says.
      else Promise.resolve(onError(error as Error, ctx) as unknown).then(undefined, failed)
    } catch {
      failed()
    }
  }

  #emit(error: unknown, ctx: Context | undefined): void {
    if (ctx) ctx.app.emit('error', error, ctx)
    else if (this.app) this.app.emit('error', error)
    else warn(`${nameOf(error)} outside of a request, and there is neither option onError nor an app to tell`)
  }
}

/** What it threw is not shown: it may hold what it was told. */
function warnOfListener(error: unknown, who: string, ctx: Context | undefined): void {
  const hint = ctx ? '' : '; outside of a request it gets no ctx'
  warn(`${who} failed when it was told of ${nameOf(error)}${hint}`)
}

const nameOf = (error: unknown): string => (isSessionError(error) ? error.code : 'an error')

const warn = (message: string): void => process.emitWarning(message, { code: 'KOA_SESSION_ON_ERROR' })
