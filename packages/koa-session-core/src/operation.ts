import type { SessionCallback } from './session.js'

/** The promise of an operation that need not be awaited: its rejection is never unhandled, and it knows who listens. */
export class Operation<T> extends Promise<T> {
  /** Whether anybody awaited it, or gave a callback. */
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
    this.settled.then(error => process.nextTick(callback, ...(error === undefined ? [] : [error])))
  }

  static override get [Symbol.species](): PromiseConstructor {
    return Promise
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
