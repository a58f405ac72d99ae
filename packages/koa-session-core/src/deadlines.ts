import { clearTimeout, elapsed, setTimeout } from './waiting.js'

/** A deadline by the monotonic clock, in milliseconds. */
export type Deadline = number

/** Something that waits until a moment at most. */
export interface Bounded {
  readonly deadline: Deadline
  expire(): void
}

/** One timer for everything that waits: almost all of it ends in time, and a timer for each costs more than a read from memory. */
export class Deadlines {
  readonly #waiting = new Set<Bounded>()
  #timer: NodeJS.Timeout | undefined
  #firesAt = Number.POSITIVE_INFINITY

  add(one: Bounded): void {
    const isFirst = this.#waiting.size === 0
    this.#waiting.add(one)
    if (one.deadline < this.#firesAt) this.#arm(one.deadline)
    // A script that waits for a silent store must end with an error, not by running out of events.
    else if (isFirst) this.#timer?.ref()
  }

  remove(one: Bounded): void {
    if (this.#waiting.delete(one) && this.#waiting.size === 0) this.#timer?.unref()
  }

  #arm(at: Deadline): void {
    clearTimeout(this.#timer)
    this.#firesAt = at
    this.#timer = setTimeout(() => this.#expire(), Math.max(at - elapsed(), 0))
  }

  #expire(): void {
    const now = elapsed()
    let next = Number.POSITIVE_INFINITY
    this.#firesAt = next
    for (const one of this.#waiting) {
      if (one.deadline > now) next = Math.min(next, one.deadline)
      else if (this.#waiting.delete(one)) one.expire()
    }
    if (next < this.#firesAt) this.#arm(next)
  }
}
