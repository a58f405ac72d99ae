import { clearTimeout, elapsed, setTimeout } from './waiting.js'

/** A deadline by the monotonic clock, in milliseconds. */
export type Deadline = number

/** Something that waits until a moment at most. */
export interface Bounded {
  readonly deadline: Deadline
  /** Its place among those that wait. */
  place: number
  expire(): void
}

/**
 * One timer for everything that waits: almost all of it ends in time, and a timer for each costs more than a read from memory.
 * An array, because a `Set` that changes all the time keeps what it held from the collection of young garbage.
 */
export class Deadlines {
  readonly #waiting: Bounded[] = []
  #timer: NodeJS.Timeout | undefined
  #firesAt = Number.POSITIVE_INFINITY

  add(one: Bounded): void {
    one.place = this.#waiting.push(one) - 1
    if (one.deadline < this.#firesAt) this.#arm(one.deadline)
    // A script that waits for a silent store must end with an error, not by running out of events.
    else if (one.place === 0) this.#timer?.ref()
  }

  /** Returns whether it still waited. */
  remove(one: Bounded): boolean {
    const waiting = this.#waiting
    if (waiting[one.place] !== one) return false
    const last = waiting.pop() as Bounded
    if (last !== one) {
      waiting[one.place] = last
      last.place = one.place
    }
    if (waiting.length === 0) this.#timer?.unref()
    return true
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
    for (const one of [...this.#waiting]) {
      if (one.deadline > now) next = Math.min(next, one.deadline)
      else if (this.remove(one)) one.expire()
    }
    if (next < this.#firesAt) this.#arm(next)
  }
}
