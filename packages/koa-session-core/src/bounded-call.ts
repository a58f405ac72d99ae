import type { Bounded, Deadline } from './deadlines.js'
import type { StoreCall } from './store.js'

type Listener = (reason: unknown) => void

/**
 * A call that may be aborted. Few calls are aborted, and an AbortSignal costs more than a read from memory, so it is made
 * only when a store reads it.
 */
export class BoundedCall implements StoreCall, Bounded {
  deadline: Deadline
  place = 0
  /** Runs when the deadline passes. */
  readonly expire: () => void
  readonly #step: (() => Deadline) | undefined
  /** Almost every call has one listener at most. */
  #listener: Listener | undefined
  #others: Set<Listener> | undefined
  #signal: AbortSignal | undefined
  #aborted: { readonly reason: unknown } | undefined

  /** With `step` this is long work, which is bounded step by step: a look at `signal` or `onAbort` moves the deadline. */
  constructor(deadline: Deadline, expire: () => void, step?: () => Deadline) {
    this.deadline = deadline
    this.expire = expire
    this.#step = step
  }

  get signal(): AbortSignal {
    this.renew()
    if (this.#aborted) return AbortSignal.abort(this.#aborted.reason)
    if (this.#signal) return this.#signal
    const controller = new AbortController()
    this.#signal = controller.signal
    this.onAbort(reason => controller.abort(reason))
    return this.#signal
  }

  onAbort(listener: Listener): () => void {
    this.renew()
    if (this.#aborted) listener(this.#aborted.reason)
    else if (this.#listener === undefined) this.#listener = listener
    else {
      this.#others ??= new Set()
      this.#others.add(listener)
    }
    return () => {
      if (this.#listener === listener) this.#listener = undefined
      else this.#others?.delete(listener)
    }
  }

  abort(reason: unknown): void {
    this.#aborted = { reason }
    this.#listener?.(reason)
    for (const listener of this.#others ?? []) listener(reason)
  }

  isAbortedWith(reason: unknown): boolean {
    return this.#aborted !== undefined && this.#aborted.reason === reason
  }

  /** Long work is about to take another step. */
  renew(): void {
    if (this.#step && !this.#aborted) this.deadline = this.#step()
  }
}
