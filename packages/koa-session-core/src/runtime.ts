import type { Context } from 'koa'
import { GuardedCodec } from './guarded-codec.js'
import { GuardedStore } from './guarded-store.js'
import { Ledger } from './ledger.js'
import type { ResolvedOptions } from './options.js'

/** What all requests of one `session()` share. */
export class Runtime {
  readonly options: ResolvedOptions
  readonly codec: GuardedCodec
  readonly store: GuardedStore
  readonly ledger: Ledger
  /** The context of the first request, whose app hears of failures that no request can carry. */
  first: Context | undefined

  constructor(options: ResolvedOptions) {
    this.options = options
    this.codec = new GuardedCodec(options.codec)
    this.store = new GuardedStore(options)
    this.ledger = new Ledger(this.store)
  }

  /** Hand a failure that no request can carry to `onError`. */
  report(error: unknown, ctx?: Context): void {
    const { onError } = this.options
    try {
      if (onError) onError(error as Error, ctx)
      else (ctx ?? this.first)?.app.emit('error', error, ctx ?? this.first)
    } catch (thrown) {
      process.emitWarning(`onError threw: ${String(thrown)}`, { code: 'KOA_SESSION_ON_ERROR' })
    }
  }
}
