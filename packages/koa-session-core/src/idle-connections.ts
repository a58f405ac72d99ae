import { untilAborted } from './until-aborted.js'
import { clearTimeout, elapsed, setTimeout } from './waiting.js'

/** A pool of connections, each of which does one thing at a time. */
export interface Connections<C extends object> {
  /** For messages. */
  readonly store: string
  /** How long an answer may take, in milliseconds. @default as long as it takes */
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

const ignore = () => {}

/**
 * Connections that a firewall may have forgotten. It silently drops the packets of all connections that were idle. The first
 * dead one costs a wait; the others are skipped.
 */
export class IdleConnections<C extends object> {
  /** A connection is idle after this many milliseconds without an answer. Those of a busy process never are. */
  static readonly silence = 50

  /** How long an idle connection has to answer, in milliseconds. */
  static readonly patience = 1_000

  readonly #pool: Connections<C>
  readonly #answeredAt = new WeakMap<object, number>()
  /** Connections that have not answered since then are skipped. */
  #doubtedAt = Number.NEGATIVE_INFINITY
  #lastAnsweredAt = Number.NEGATIVE_INFINITY

  constructor(pool: Connections<C>) {
    this.#pool = pool
  }

  /**
   * Gives a connection to `work`, which must be safe to run twice: if a firewall has forgotten the connection, `work` starts
   * again on another. When the signal aborts, the call rejects with its reason at once, and the connection is closed.
   */
  async use<T>(signal: AbortSignal | undefined, work: (connection: C) => Promise<T>): Promise<T> {
    const { store, callTimeout, identityOf } = this.#pool
    signal?.throwIfAborted()
    for (;;) {
      const connection = await this.#connect(signal)
      const identity = identityOf ? identityOf(connection) : connection
      const askedAt = elapsed()
      const answeredAt = this.#answeredAt.get(identity) ?? askedAt
      if (answeredAt < this.#doubtedAt) {
        this.#pool.destroy(connection)
        continue
      }
      const isIdle = askedAt - answeredAt >= IdleConnections.silence
      const bound = isIdle ? IdleConnections.patience : callTimeout
      try {
        const result = await untilAborted(signal, () => answerWithin(store, bound, work(connection)))
        this.#lastAnsweredAt = elapsed()
        this.#answeredAt.set(identity, this.#lastAnsweredAt)
        this.#pool.release(connection)
        return result
      } catch (error) {
        // It may still be busy, so it cannot be used again.
        this.#pool.destroy(connection)
        if (!isIdle || !isForgotten(error)) throw error
        this.#doubtedAt = Math.max(this.#doubtedAt, askedAt)
      }
    }
  }

  async #connect(signal: AbortSignal | undefined): Promise<C> {
    for (;;) {
      const askedAt = elapsed()
      const connecting = this.#pool.connect()
      try {
        return await untilAborted(signal, () => connecting)
      } catch (error) {
        // A pool cannot be told to stop: a connection that it gives out later goes back.
        connecting.then(connection => this.#pool.release(connection), ignore)
        // A server that answers other calls is busy, not away.
        if (signal?.aborted || this.#lastAnsweredAt < askedAt || !this.#pool.isLate?.(error)) throw error
      }
    }
  }
}

/** The server did not answer in time. */
export class NoAnswerError extends Error {
  constructor(store: string, milliseconds: number) {
    super(`${store} gave no answer within ${milliseconds} ms`)
  }
}

/** Settles like `answer`, or rejects with a NoAnswerError after this many milliseconds. */
export async function answerWithin<T>(store: string, bound: number | undefined, answer: Promise<T>): Promise<T> {
  if (bound === undefined) return answer
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NoAnswerError(store, bound)), bound)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Whether the error is typical of a connection that a firewall has forgotten: silence, or an immediate reset. */
const isForgotten = (error: unknown): boolean =>
  error instanceof NoAnswerError || ['ECONNRESET', 'EPIPE'].includes(Object(error).code)
