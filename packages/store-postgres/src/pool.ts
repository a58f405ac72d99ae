import { untilAborted } from 'koa-session-core/store'
import pg from 'pg'

/** What the store needs of a pool: pg's `Pool` has it. */
export interface PostgresPool {
  connect(): Promise<PostgresClient>
}

/** What the store needs of a client that a pool gives out. */
export interface PostgresClient {
  query(query: { name?: string; text: string; values?: unknown[] }): Promise<QueryResult>
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
  /** `true`: it is not to be used again. */
  release(destroy?: boolean): void
}

export interface QueryResult {
  readonly rows: unknown[]
  readonly rowCount: number | null
}

const ignore = () => {}

/** The clients of a pool that stays the caller's, or of one that is opened here for a URL. */
export class Clients {
  readonly #pool: PostgresPool
  readonly #opened: pg.Pool | undefined
  readonly #running = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined

  constructor(given: PostgresPool | undefined, url: string) {
    this.#opened = given === undefined ? openPool(url) : undefined
    this.#pool = given ?? (this.#opened as pg.Pool)
  }

  /** Gives a client to `work`. As soon as the signal aborts, the call ends with its reason and so does the connection. */
  async use<T>(signal: AbortSignal | undefined, work: (client: PostgresClient) => Promise<T>): Promise<T> {
    signal?.throwIfAborted()
    if (this.#closing && this.#opened) throw new Error('the postgres store is closed')
    const running = this.#use(signal, work)
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#opened ? this.#end(this.#opened) : Promise.resolve()
    return this.#closing
  }

  async #use<T>(signal: AbortSignal | undefined, work: (client: PostgresClient) => Promise<T>): Promise<T> {
    const client = await this.#connect(signal)
    // When the connection is lost, a client tells whoever waits and emits the same: without a listener it would end the
    // process.
    client.on('error', ignore)
    let result: T
    try {
      result = await untilAborted(signal, () => work(client))
    } catch (error) {
      // What it is still doing is unknown, so that nobody else can use it.
      client.release(true)
      throw error
    }
    client.off('error', ignore)
    client.release()
    return result
  }

  async #connect(signal: AbortSignal | undefined): Promise<PostgresClient> {
    const connecting = this.#pool.connect()
    try {
      return await untilAborted(signal, () => connecting)
    } catch (error) {
      // A pool cannot be told that nobody waits any more: what it gives out later goes back.
      connecting.then(client => client.release(), ignore)
      throw error
    }
  }

  async #end(pool: pg.Pool): Promise<void> {
    // A pool that is ended forgets those who wait for a client.
    await Promise.allSettled(this.#running)
    await pool.end()
  }
}

/** A pool that connects when it is first used. */
function openPool(url: string): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    query_timeout: 10_000,
    keepAlive: true,
    allowExitOnIdle: true,
  })
  // Failures reach whoever called; without a listener an idle disconnect would end the process.
  pool.on('error', ignore)
  return pool
}
