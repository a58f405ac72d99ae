import type Koa from 'koa'
import type { Context } from 'koa'
import { isSessionError } from './errors.js'

export type OnError = (error: Error, ctx?: Context) => void

/** Takes the failures that no request can carry: to the option `onError`, or to the app's listeners to `error`. */
export class Reporter {
  readonly #onError: OnError | undefined
  /** The app of the first request. Not its context, which is one person's. */
  app: Koa | undefined

  constructor(onError: OnError | undefined) {
    this.#onError = onError
  }

  /** `ctx` is of the request whose failure it is: a failure outside of any comes without one. */
  report(error: unknown, ctx?: Context): void {
    const onError = this.#onError
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
    else warn(`${nameOf(error)} happened outside of a request and reached no listener: set the option onError`)
  }
}

/** The listener's own error is not shown: it may repeat the one it was given. */
function warnOfListener(error: unknown, listener: string, ctx: Context | undefined): void {
  const hint = ctx ? '' : '; outside of a request it gets no ctx'
  warn(`${listener} failed while it handled ${nameOf(error)}${hint}`)
}

const nameOf = (error: unknown): string => (isSessionError(error) ? error.code : 'an error')

const warn = (message: string): void => process.emitWarning(message, { code: 'KOA_SESSION_ON_ERROR' })
