import { IdleConnections } from 'koa-session-core/store'
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
  readonly #opened: pg.Pool | undefined
  readonly #clients: IdleConnections<PostgresClient>

  constructor(given: PostgresPool | undefined, url: string) {
    this.#opened = given === undefined ? openPool(url) : undefined
    const pool = given ?? (this.#opened as pg.Pool)
    this.#clients = new IdleConnections<PostgresClient>({
      store: 'postgres',
      ...(this.#opened && { isLate }),
      async connect() {
        const client = await pool.connect()
        // When the connection is lost, a client tells whoever waits and emits the same: without a listener it would end
        // the process.
        client.on('error', ignore)
        return client
      },
      release(client) {
        client.off('error', ignore)
        client.release()
      },
      destroy,
    })
  }

  /** `work` may be done twice, if the first client turns out to be dead. */
  use<T>(signal: AbortSignal | undefined, work: (client: PostgresClient) => Promise<T>): Promise<T> {
    return this.#clients.use(signal, work)
  }

  /** Ends the pool, if it was opened here. No call may be under way: a pool forgets those who wait for a client. */
  async close(): Promise<void> {
    await this.#opened?.end()
  }
}

/** The pool has no code for it. */
const isLate = (error: unknown): boolean => /timeout/.test(Object(error).message)

interface WithSocket {
  readonly connection?: { readonly stream?: { destroy(): void } }
}

/** pg says goodbye first and gives nobody the place of a client while that is not answered. */
function destroy(client: PostgresClient & WithSocket): void {
  client.connection?.stream?.destroy()
  client.release(true)
}

/** A pool that connects when it is first used. */
function openPool(url: string): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    // Less than storeTimeout, so that the reason is known by then.
    connectionTimeoutMillis: 3_000,
    query_timeout: 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    allowExitOnIdle: true,
  })
  // Failures reach whoever called; without a listener an idle disconnect would end the process.
  pool.on('error', ignore)
  return pool
}
