import { type Bounded, Deadlines } from './deadlines.js'
import { isForgotten, NoAnswerError } from './no-answer.js'
import type { StoreCall } from './store.js'
import { onAbort } from './until-aborted.js'
import { elapsed } from './waiting.js'

/** A pool of connections, each of which does one thing at a time. */
export interface Connections<C extends object> {
  /** For messages. */
  readonly store: string
  /** The most milliseconds that an answer may take. @default as long as it takes */
  readonly callTimeout?: number | undefined
  connect(): Promise<C>
  /** Whether `connect` timed out. If other calls were answered meanwhile, the call goes on waiting. */
  isLate?(error: unknown): boolean
  /** The object that stays the same each time the pool gives out a connection. @default the connection */
  identityOf?(connection: C): object
  release(connection: C): void
  /** Ends a connection at once, without a goodbye: the server may be gone. */
  destroy(connection: C): void
}

/** A connection is idle after this many milliseconds without an answer. Those of a busy process never are. */
export const silence = 50

/** The milliseconds that an idle connection has to answer. */
export const patience = 1_000

/** The times at which the connections of a pool last answered, and the calls that wait for them. */
export class Answers {
  readonly deadlines = new Deadlines()
  readonly times = new WeakMap<object, number>()
  last = Number.NEGATIVE_INFINITY
  /** Connections that have not answered since then are skipped. */
  doubtedAt = Number.NEGATIVE_INFINITY
}

/**
 * One call on a connection of a pool: all its steps share one promise, one listener and one deadline, because a promise that
 * races others at each step costs as much as the driver's work.
 */
export class PooledCall<C extends object, T> implements Bounded {
  readonly #pool: Connections<C>
  readonly #answers: Answers
  readonly #work: (connection: C) => Promise<T>
  readonly #resolve: (result: T) => void
  readonly #reject: (error: unknown) => void
  readonly #stopListening: () => void
  #isOver = false
  /** The one that works for this call now. */
  #connection: C | undefined
  #askedAt = 0
  #isIdle = false
  #bound: number | undefined
  deadline = 0
  place = 0

  constructor(
    pool: Connections<C>,
    answers: Answers,
    call: StoreCall | undefined,
    work: (connection: C) => Promise<T>,
    resolve: (result: T) => void,
    reject: (error: unknown) => void,
  ) {
    this.#pool = pool
    this.#answers = answers
    this.#work = work
    this.#resolve = resolve
    this.#reject = reject
    this.#stopListening = onAbort(call, reason => this.#abort(reason))
  }

  begin(): void {
    if (!this.#isOver) this.#connect()
  }

  /** There was no answer in time. */
  expire(): void {
    this.#fail(this.#connection as C, new NoAnswerError(this.#pool.store, this.#bound as number))
  }

  #connect(): void {
    const askedAt = elapsed()
    this.#pool.connect().then(
      connection => this.#begin(connection),
      error => {
        if (this.#isOver) return
        // A server that answers other calls is busy, not away.
        if (this.#answers.last >= askedAt && this.#pool.isLate?.(error)) this.#connect()
        else {
          this.#end()
          this.#reject(error)
        }
      },
    )
  }

  #begin(connection: C): void {
    const pool = this.#pool
    // A pool cannot be told to stop: a connection that it gives out later goes back.
    if (this.#isOver) {
      pool.release(connection)
      return
    }
    const askedAt = elapsed()
    const answeredAt = this.#answers.times.get(identityOf(pool, connection)) ?? askedAt
    if (answeredAt < this.#answers.doubtedAt) {
      pool.destroy(connection)
      this.#connect()
      return
    }
    this.#connection = connection
    this.#askedAt = askedAt
    this.#isIdle = askedAt - answeredAt >= silence
    this.#bound = this.#isIdle ? patience : pool.callTimeout
    if (this.#bound !== undefined) {
      this.deadline = askedAt + this.#bound
      this.#answers.deadlines.add(this)
    }
    this.#work(connection).then(
      result => this.#succeed(connection, result),
      error => this.#fail(connection, error),
    )
  }

  #succeed(connection: C, result: T): void {
    if (this.#connection !== connection) return
    this.#answers.last = elapsed()
    this.#answers.times.set(identityOf(this.#pool, connection), this.#answers.last)
    this.#end()
    this.#pool.release(connection)
    this.#resolve(result)
  }

  #fail(connection: C, error: unknown): void {
    if (this.#connection !== connection) return
    this.#leave(connection)
    if (this.#isIdle && isForgotten(error)) {
      this.#answers.doubtedAt = Math.max(this.#answers.doubtedAt, this.#askedAt)
      this.#connect()
    } else {
      this.#end()
      this.#reject(error)
    }
  }

  /** Comes at most once, and perhaps before anything has begun. */
  #abort(reason: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    if (this.#connection) this.#leave(this.#connection)
    this.#reject(reason)
  }

  /** The connection may still be busy, so it cannot be used again. */
  #leave(connection: C): void {
    this.#forgetAnswer()
    this.#pool.destroy(connection)
  }

  #forgetAnswer(): void {
    if (this.#bound !== undefined) this.#answers.deadlines.remove(this)
    this.#connection = undefined
  }

  #end(): void {
    this.#forgetAnswer()
    this.#isOver = true
    this.#stopListening()
  }
}

const identityOf = <C extends object>({ identityOf }: Connections<C>, connection: C): object =>
  identityOf ? identityOf(connection) : connection
