import { clearTimeout, setTimeout } from 'node:timers'
import { MongoClient } from 'mongodb'

/** What the store needs of a collection: the driver's `Collection` has it. */
export interface MongoCollection {
  findOne(filter: object, options: object): Promise<object | null>
  find(filter: object, options: object): { toArray(): Promise<object[]> }
  insertOne(document: object, options: object): Promise<unknown>
  replaceOne(filter: object, document: object, options: object): Promise<{ readonly matchedCount: number }>
  updateOne(filter: object, update: object, options: object): Promise<{ readonly matchedCount: number }>
  deleteOne(filter: object, options: object): Promise<{ readonly deletedCount: number }>
  deleteMany(filter: object, options: object): Promise<{ readonly deletedCount: number }>
  createIndex(fields: Record<string, 1>, options: object): Promise<unknown>
  indexes?(options: object): Promise<object[]>
}

/** How long a client that nobody uses stays connected, in milliseconds. */
const idleTime = 5_000

const defaults = {
  connectTimeoutMS: 2_000,
  serverSelectionTimeoutMS: 5_000,
  waitQueueTimeoutMS: 5_000,
  // Also for calls without a signal: a server that takes commands and never answers would hold them for good.
  socketTimeoutMS: 10_000,
  // Otherwise drivers up to 7.0 at least take many seconds to find that a silent server is back.
  serverMonitoringMode: 'poll',
} as const

const ignore = () => {}

/**
 * A collection of a client that connects when it is first used, fails soon while the server is away, and comes back by
 * itself. Its connections would keep a process alive that has nothing else to do, so it ends them when it is idle.
 */
export class OwnClient {
  readonly #url: string
  readonly #database: string | undefined
  readonly #collection: string
  readonly #running = new Set<Promise<unknown>>()
  #client: MongoClient | undefined
  #idle: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined

  constructor(url: string, database: string | undefined, collection: string) {
    this.#url = url
    this.#database = database
    this.#collection = collection
  }

  async use<T>(work: (collection: MongoCollection) => Promise<T>): Promise<T> {
    if (this.#closing) throw new Error('the mongo store is closed')
    clearTimeout(this.#idle)
    this.#client ??= this.#open()
    const running = work(this.#client.db(this.#database).collection(this.#collection))
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
      if (this.#running.size === 0) this.#idle = setTimeout(() => this.#disconnect(), idleTime).unref()
    }
  }

  close(): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#running).then(() => this.#disconnect())
    return this.#closing
  }

  #open(): MongoClient {
    // The driver would prefer these to what the URL says.
    const own = Object.entries(defaults).filter(([name]) => !new RegExp(`[?&]${name}=`, 'i').test(this.#url))
    const client = new MongoClient(this.#url, Object.fromEntries(own))
    client.on('error', ignore)
    return client
  }

  async #disconnect(): Promise<void> {
    clearTimeout(this.#idle)
    const client = this.#client
    this.#client = undefined
    await client?.close().catch(ignore)
  }
}
