import { clearTimeout, setTimeout } from 'node:timers'
import { elapsed, IdleConnections, NoAnswerError } from 'koa-session-core/store'
import { MongoClient } from 'mongodb'
import type { MongoCollection, Work } from './collection.js'
import { reconnecting } from './reconnecting.js'
import { serverError } from './server-error.js'

/** How long an unused client stays connected, in milliseconds. */
const idleTime = 5_000

const defaults = {
  connectTimeoutMS: 2_000,
  // Less than storeTimeout, so that the driver reports its reason first.
  serverSelectionTimeoutMS: 3_000,
  waitQueueTimeoutMS: 3_000,
  // How long a call waits when the server has come back just after the driver had looked.
  minHeartbeatFrequencyMS: 100,
  // Less than firewalls allow: a busy client may have idle connections.
  maxIdleTimeMS: 10_000,
  // Bounds calls without a signal, which a server that never answers would hold for ever.
  socketTimeoutMS: 10_000,
  // Otherwise drivers up to 7.0 at least take many seconds to find that a silent server is back.
  serverMonitoringMode: 'poll',
} as const

const ignore = () => {}

/** A client and the state of its connections. */
interface Connected {
  readonly client: MongoClient
  readonly collection: MongoCollection
  running: number
  /** When a call was last answered, if any was. */
  answeredAt: number | undefined
}

/**
 * A collection of a client that connects when it is first used, fails soon while the server is away, and reconnects by
 * itself. Open connections would keep an otherwise idle process alive, so it ends them when it is idle.
 */
export class OwnClient {
  readonly #url: string
  readonly #database: string | undefined
  readonly #collection: string
  #connected: Connected | undefined
  #idle: NodeJS.Timeout | undefined

  constructor(url: string, database: string | undefined, collection: string) {
    this.#url = url
    this.#database = database
    this.#collection = collection
  }

  /**
   * Runs `work`, which must be safe to run twice: if a firewall has forgotten the connections of the client, `work` starts
   * again on a new client, because the driver would try the dead connections one after the other.
   */
  async use<T>(signal: AbortSignal | undefined, work: Work<T>): Promise<T> {
    for (;;) {
      clearTimeout(this.#idle)
      this.#connected ??= this.#connect()
      const connected = this.#connected
      const { collection } = connected
      const askedAt = elapsed()
      const isIdle = askedAt - (connected.answeredAt ?? askedAt) >= IdleConnections.silence
      connected.running++
      try {
        const result = isIdle
          ? await answerSoon(signal, both => work(collection, both))
          : await reconnecting(connected.client, collection, signal, work)
        connected.answeredAt = elapsed()
        return result
      } catch (error) {
        // A server that answers other calls is busy, not away.
        const { answeredAt = Number.NEGATIVE_INFINITY } = connected
        if (answeredAt >= askedAt && Object(error).name === 'MongoWaitQueueTimeoutError') continue
        if (!(error instanceof NoAnswerError)) throw error
        if (this.#connected === connected) this.#connected = undefined
      } finally {
        connected.running--
        this.#rest(connected)
      }
    }
  }

  /** No call may be under way. */
  async close(): Promise<void> {
    clearTimeout(this.#idle)
    const connected = this.#connected
    this.#connected = undefined
    if (connected) await disconnect(connected)
  }

  /** Why no server is found, if none is. */
  get lastError(): unknown {
    return serverError(this.#connected?.client)
  }

  #rest(connected: Connected): void {
    if (connected.running > 0) return
    // Replaced by another one.
    if (this.#connected !== connected) disconnect(connected)
    else this.#idle = setTimeout(() => this.close(), idleTime).unref()
  }

  #connect(): Connected {
    const client = this.#open()
    const collection = client.db(this.#database).collection(this.#collection)
    return { client, collection, running: 0, answeredAt: undefined }
  }

  #open(): MongoClient {
    // The driver would prefer these to the settings in the URL.
    const own = Object.entries(defaults).filter(([name]) => !new RegExp(`[?&]${name}=`, 'i').test(this.#url))
    const client = new MongoClient(this.#url, Object.fromEntries(own))
    client.on('error', ignore)
    return client
  }
}

const disconnect = ({ client }: Connected): Promise<void> => client.close().catch(ignore)

/** Runs `work` with a signal that aborts with `signal`, and when it takes longer than an idle connection may take. */
async function answerSoon<T>(signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController()
  const { patience } = IdleConnections
  const timer = setTimeout(() => late.abort(new NoAnswerError('mongo', patience)), patience)
  try {
    return await work(signal ? AbortSignal.any([signal, late.signal]) : late.signal)
  } finally {
    clearTimeout(timer)
  }
}
