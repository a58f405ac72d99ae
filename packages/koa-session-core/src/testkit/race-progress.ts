import { elapsed, setImmediate } from '../waiting.js'

const sleeper = new Int32Array(new SharedArrayBuffer(4))

/** Tells the parent how a task goes on, and learns from it when to stop, even if the store never waits. */
export class Progress {
  isStopped = false
  readonly #send: (met: number) => void
  #met = 0
  #lastTurn = elapsed()
  #lastSign = elapsed()

  /** `send` tells the parent how often processes have met since the last time. */
  constructor(send: (met: number) => void) {
    this.#send = send
  }

  /** Another process has come between two calls of this one. */
  meet(): void {
    this.#met++
  }

  /** Lets messages in and out from time to time. */
  async turn(): Promise<void> {
    const now = elapsed()
    if (now - this.#lastTurn < 5) return
    if (this.#met > 0 || now - this.#lastSign > 500) {
      this.#send(this.#met)
      this.#met = 0
      this.#lastSign = now
    }
    await new Promise(resolve => setImmediate(resolve))
    this.#lastTurn = elapsed()
  }

  /**
   * Leaves the processor, and locks that are not fair, to the other processes: for a moment, or as long as the calls since
   * `began` took.
   */
  async wait(began = Number.POSITIVE_INFINITY): Promise<void> {
    Atomics.wait(sleeper, 0, 0, Math.min(Math.max(elapsed() - began, 0.1), 100))
    await this.turn()
  }
}
