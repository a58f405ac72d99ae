import type { Commands } from './clients.js'
import { OwnClient } from './own-client.js'

/** The client for a URL. The driver is loaded by the first call: an app with a client of another driver need not install it. */
export class OpenedClient implements Commands {
  readonly keyPrefix = ''
  readonly isCluster = false
  readonly readsReplicas = false
  readonly #url: string
  #client: OwnClient | undefined
  #opening: Promise<OwnClient> | undefined

  constructor(url: string) {
    this.#url = url
  }

  call(command: string, ...args: (string | number)[]): Promise<unknown> {
    return this.#client
      ? this.#client.call(command, ...args)
      : this.#open().then(client => client.call(command, ...args))
  }

  async masters(): Promise<readonly Commands[]> {
    return [this]
  }

  /** Calls reject with the reason already. */
  reasonFor(error: unknown): unknown {
    return error
  }

  get lastError(): unknown {
    return this.#client?.lastError
  }

  async close(): Promise<void> {
    await this.#opening?.then(client => client.close())
  }

  #open(): Promise<OwnClient> {
    this.#opening ??= load().then(
      ({ Redis }) => {
        this.#client = new OwnClient(Redis, this.#url)
        return this.#client
      },
      error => {
        this.#opening = undefined
        throw error
      },
    )
    return this.#opening
  }
}

// With `catch`, a bundler accepts that the driver is missing.
const load = () =>
  import('ioredis').catch(error => {
    const { code } = Object(error)
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error
    const message = 'option url needs ioredis: npm install ioredis, or give a client of node-redis or iovalkey'
    throw new Error(`redisStore(): ${message}`, { cause: error })
  })
