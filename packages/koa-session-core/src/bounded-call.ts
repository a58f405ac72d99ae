import type { StoreCall } from './store.js'

/**
 * A call that may be aborted. Few calls are, and making an AbortSignal costs more than a read from memory, so it is made
 * when a store asks for it.
 */
export class BoundedCall implements StoreCall {
  #controller: AbortController | undefined
  #reason: unknown
  readonly #step: (() => void) | undefined

  /** `step` runs whenever the store looks at the signal. */
  constructor(step?: () => void) {
    this.#step = step
  }

  get signal(): AbortSignal {
    if (this.#reason !== undefined) return AbortSignal.abort(this.#reason)
    this.#step?.()
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  abort(reason: unknown): void {
    this.#reason = reason
    this.#controller?.abort(reason)
  }

  isAbortedWith(reason: unknown): boolean {
    return this.#reason !== undefined && this.#reason === reason
  }

  static throwIfAborted(call: StoreCall | undefined): void {
    if (!(call instanceof BoundedCall)) call?.signal?.throwIfAborted()
    else if (call.#reason !== undefined) throw call.#reason
  }
}
