import { setImmediate } from 'node:timers/promises'
import { Redis } from 'ioredis'

/** What the store needs of a client: ioredis' `Redis` (also with Sentinels) and its `Cluster` have it. */
export interface RedisClient {
  call(command: string, ...args: (string | number)[]): Promise<unknown>
  /** The nodes of a Cluster. */
  nodes?(role: 'master'): readonly Pick<RedisClient, 'call'>[]
  readonly options?: { readonly keyPrefix?: string | undefined }
}

const ignore = () => {}

/**
 * A client that connects when it is first used, fails soon while the server is away, comes back by itself, and keeps no
 * process alive that has nothing else to do.
 */
export class OwnClient implements RedisClient {
  readonly #client: Redis
  readonly #running = new Set<Promise<unknown>>()
  #isClosed = false
  #closing: Promise<void> | undefined

  constructor(url: string) {
    this.#client = new Redis(url, {
      lazyConnect: true,
      connectTimeout: 2_000,
      // A server that takes commands and never answers: the connection is given up, and the next attempt finds out
      // whether it is back.
      socketTimeout: 2_000,
      // Also bounds the time a command waits for a connection.
      commandTimeout: 5_000,
      maxRetriesPerRequest: 1,
      retryStrategy: attempt => (this.#running.size > 0 ? Math.min(attempt * 50, 500) : null),
      // The master became a replica behind its name: the next connection leads to the new one.
      reconnectOnError: error => (error.message.includes('READONLY') ? 2 : false),
    })
    // Failures reach whoever called; without a listener an idle disconnect would be printed.
    this.#client.on('error', ignore)
    this.#client.on('connect', () => this.#running.size > 0 || this.#client.stream.unref())
  }

  async call(command: string, ...args: (string | number)[]): Promise<unknown> {
    if (this.#isClosed) throw new Error('the redis store is closed')
    const running = this.#call(command, ...args)
    this.#running.add(running)
    this.#client.stream?.ref()
    try {
      return await running
    } finally {
      this.#running.delete(running)
      if (this.#running.size === 0) this.#client.stream?.unref()
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#end()
    return this.#closing
  }

  async #call(command: string, ...args: (string | number)[]): Promise<unknown> {
    if (this.#client.status === 'end') this.#client.connect().catch(ignore)
    try {
      return await this.#client.call(command, ...args)
    } catch (error) {
      // The driver counts attempts for all commands together: the first one after an outage may have had none.
      if ((error as Partial<Error> | null)?.name !== 'MaxRetriesPerRequestError') throw error
      return this.#client.call(command, ...args)
    }
  }

  async #end(): Promise<void> {
    // Calls under way may have a second step to go.
    for (; this.#running.size > 0; await setImmediate()) await Promise.allSettled(this.#running)
    this.#isClosed = true
    this.#client.disconnect()
  }
}
