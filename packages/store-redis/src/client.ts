import { clearTimeout, setTimeout } from 'node:timers'
import { Redis } from 'ioredis'
import { elapsed, IdleConnections, OpenCalls } from 'koa-session-core/store'
import { LostConnection, reasonFor, type WithConnection } from './lost-connection.js'

/** The part of an ioredis client that the store needs. Both `Redis` (with or without Sentinels) and `Cluster` have it. */
export interface RedisClient extends WithConnection {
  call(command: string, ...args: (string | number)[]): Promise<unknown>
  /** The nodes of a Cluster. */
  nodes?(role: 'master'): readonly Pick<RedisClient, 'call'>[]
  readonly options?: { readonly keyPrefix?: string | undefined }
}

/** How long a connection of our own may stay idle, in milliseconds. Less than firewalls and servers allow. */
const idleTime = 30_000

const ignore = () => {}

/** A command that took this many milliseconds to fail is not retried. */
const retryTime = 1_000

/**
 * A client that connects when it is first used, fails soon while the server is away, reconnects by itself, and does not keep
 * an otherwise idle process alive.
 */
export class OwnClient implements RedisClient {
  readonly #client: Redis
  readonly #lost: LostConnection
  readonly #calls = new OpenCalls('redis')
  #running = 0
  #answeredAt = Number.POSITIVE_INFINITY
  /** Ends the connection: soon, if an idle one gives no answer, or when it has been idle for too long. */
  #timer: NodeJS.Timeout | undefined

  constructor(url: string) {
    this.#client = new Redis(url, {
      lazyConnect: true,
      connectTimeout: 2_000,
      keepAlive: 10_000,
      // If the server takes commands and never answers, give up the connection; the next attempt tells whether it is back.
      socketTimeout: 2_000,
      // Also bounds the time a command waits for a connection. Less than storeTimeout, so that the reason is known by then.
      commandTimeout: 3_000,
      maxRetriesPerRequest: 1,
      retryStrategy: attempt => (this.#running > 0 ? Math.min(attempt * 50, 500) : null),
      // The master became a replica behind its name: the next connection leads to the new one.
      reconnectOnError: error => (error.message.includes('READONLY') ? 2 : false),
    })
    // Also listens to errors: without a listener an idle disconnect would be printed.
    this.#lost = new LostConnection(this.#client)
    this.#client.on('connect', () => this.#running > 0 || this.#client.stream.unref())
    this.#client.on('close', () => {
      clearTimeout(this.#timer)
      this.#answeredAt = Number.POSITIVE_INFINITY
    })
  }

  call(command: string, ...args: (string | number)[]): Promise<unknown> {
    return this.#calls.run(async () => {
      if (this.#running++ === 0) this.#begin()
      try {
        const answer = await this.#call(command, ...args)
        this.#answeredAt = elapsed()
        return answer
      } finally {
        clearTimeout(this.#timer)
        if (--this.#running === 0) this.#rest()
      }
    })
  }

  /** Waits for commands under way, including those that no call waits for. */
  close(): Promise<void> {
    return this.#calls.close(async () => {
      clearTimeout(this.#timer)
      this.#client.disconnect()
      this.#client.stream?.destroy()
    })
  }

  #begin(): void {
    clearTimeout(this.#timer)
    this.#client.stream?.ref()
    if (elapsed() - this.#answeredAt < IdleConnections.silence) return
    // A firewall may have forgotten it. The driver sends what was not answered over the next one.
    this.#timer = setTimeout(() => this.#client.stream?.destroy(), IdleConnections.patience)
  }

  #rest(): void {
    this.#client.stream?.unref()
    // Nothing is under way, so the driver does not reconnect.
    this.#timer = setTimeout(() => this.#client.stream?.destroy(), idleTime).unref()
  }

  async #call(command: string, ...args: (string | number)[]): Promise<unknown> {
    if (this.#client.status === 'end') this.#client.connect().catch(ignore)
    const begun = elapsed()
    try {
      return await this.#client.call(command, ...args)
    } catch (error) {
      // The driver counts attempts for all commands together: the first one after an outage may have had none.
      const hadNone = Object(error).name === 'MaxRetriesPerRequestError' && elapsed() - begun < retryTime
      if (!hadNone) throw reasonFor(error, this.#client, this.#lost)
    }
    try {
      return await this.#client.call(command, ...args)
    } catch (error) {
      throw reasonFor(error, this.#client, this.#lost)
    }
  }

  /** Why there is no connection, if there is none. */
  get lastError(): unknown {
    return this.#lost.reason
  }
}
