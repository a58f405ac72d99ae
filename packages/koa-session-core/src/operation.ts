import type { SessionCallback } from './session.js'
import { setImmediate } from './waiting.js'

/** The built-in Promise: the global one may be another library's, which cannot be extended or resolves at other times. */
const NativePromise = (async () => {})().constructor as PromiseConstructor

/** The promise of an operation that need not be awaited: its rejection is never unhandled, and it knows whether it was awaited. */
export class Operation<T> extends NativePromise<T> {
  /** Whether the app awaited it or passed a callback. */
  awaited = false
  /** Resolves when the operation has ended: to its error, or `undefined`. */
  readonly settled: Promise<unknown>

  constructor(run: () => Promise<T>, callback?: SessionCallback) {
    super((resolve, reject) => {
      run().then(resolve, reject)
    })
    const failed = (error: unknown) => error ?? new Error('the operation failed')
    this.settled = super.then(() => undefined, failed)
    if (!callback) return
    this.awaited = true
    this.settled.then(error => call(callback, error))
  }

  static override get [Symbol.species](): PromiseConstructor {
    return NativePromise
  }

  // `await` calls `then` of a promise that is not of the built-in class.
  override then<R = T, E = never>(
    onFulfilled?: ((value: T) => R | PromiseLike<R>) | null,
    onRejected?: ((reason: unknown) => E | PromiseLike<E>) | null,
  ): Promise<R | E> {
    this.awaited = true
    return super.then(onFulfilled, onRejected)
  }
}

/** An error that a callback throws is an uncaught exception, not a rejection. */
function call(callback: SessionCallback, error: unknown): void {
  try {
    if (error === undefined) callback()
    else callback(error)
  } catch (thrown) {
    setImmediate(() => {
      throw thrown
    })
  }
}
