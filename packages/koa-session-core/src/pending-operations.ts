import { Operation } from './operation.js'
import type { SessionCallback } from './session.js'
import { setImmediate } from './waiting.js'

/** The operations that a handler began, and need not have awaited. */
export class PendingOperations {
  readonly #report: (error: unknown) => void
  readonly #running: Promise<void>[] = []
  /** Failures that are reported unless the handler turns out to have awaited them. */
  #unheard: (() => unknown)[] = []
  #isFinished: boolean

  /** `isFinished`: there is no request that waits for them. */
  constructor(report: (error: unknown) => void, isFinished: boolean) {
    this.#report = report
    this.#isFinished = isFinished
  }

  start<T>(run: () => Promise<T>, callback?: SessionCallback): Promise<T> {
    const operation = new Operation<T>(run, callback)
    const settled = operation.settled.then(error => {
      if (error === undefined) return
      const judge = () => operation.awaited || this.#report(error)
      if (this.#isFinished) setImmediate(judge)
      else this.#unheard.push(judge)
    })
    if (!this.#isFinished) this.#running.push(settled)
    return operation
  }

  /** Resolves when those that run now have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#running)
  }

  /** Resolves when none runs any more, also none that began meanwhile. */
  async drained(): Promise<void> {
    while (this.#running.length > 0) await this.#running.pop()
  }

  /** The handler and the request have ended: report what nobody awaited. */
  finish(): void {
    this.#isFinished = true
    for (const judge of this.#unheard) judge()
    this.#unheard = []
  }
}
