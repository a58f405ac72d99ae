import { AssertionError } from 'node:assert/strict'
import { clearTimeout, elapsed, setTimeout } from '../waiting.js'

/** A whole case may take this many times as long as one call, because some cases make hundreds of calls. */
const callsOfCase = 10

/** A late call fails only if no call of any case was answered for this part of its time. */
const quiet = 1 / 3

/** The time of the last answer to a call of any case. */
let lastAnswer = 0

/** The deadlines of one case and of each of its calls. */
export class CaseTime {
  readonly #limit: number
  #end: number

  /** `limit`: of one call, in milliseconds. */
  constructor(limit: number) {
    this.#limit = limit
    this.#end = elapsed() + callsOfCase * limit
  }

  /** Ends the case and leaves `left` milliseconds for the cleanup. */
  wane(left: number): void {
    this.#end = elapsed() + Math.min(left, this.#limit)
  }

  /**
   * Settles like `promise`. If that takes too long, it rejects with a message that `what` should happen in time. While calls
   * of other cases are answered, the machine is probably busy, so the call gets more time.
   */
  bound<T>(promise: PromiseLike<T>, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const began = elapsed()
      let timer: NodeJS.Timeout
      const wait = () => {
        const patience = Math.max(began + this.#limit, lastAnswer + quiet * this.#limit)
        const left = Math.min(patience, this.#end) - elapsed()
        if (left > 0) timer = setTimeout(wait, left)
        else reject(failure(`${what} should take less than ${this.#limit} ms. It has not ended`))
      }
      wait()
      const settle =
        <V>(done: (value: V) => void) =>
        (value: V) => {
          lastAnswer = elapsed()
          clearTimeout(timer)
          done(value)
        }
      promise.then(settle(resolve), settle(reject))
    })
  }

  /**
   * Throws when the time of the case is over. Answers that come at once, and are always the same, keep a loop from ever
   * letting a timer fire.
   */
  check(method: string): void {
    if (elapsed() < this.#end) return
    throw failure(`A case should take less than ${callsOfCase * this.#limit} ms. This one still calls ${method}`)
  }
}

const failure = (message: string) => new AssertionError({ message })
