import type { StoreCall } from 'koa-session-core'
import { IdleConnections } from 'koa-session-core/store'
import pg from 'pg'

/** The part of pg's `Pool` that the store needs. */
export interface PostgresPool {
  connect(): Promise<PostgresClient>
}

/** The part of a pool's client that the store needs. */
export interface PostgresClient {
  query(query: { name?: string; text: string; values?: unknown[] }): Promise<QueryResult>
  on(event: 'error', listener: (error: Error) => void): unknown
  /** `true` closes the client instead of reusing it. */
  release(destroy?: boolean): void
}

export interface QueryResult {
  readonly rows: unknown[]
  readonly rowCount: number | null
}

const ignore = () => {}

/** Clients with a listener, of all stores: several may share a pool. */
const listened = new WeakSet<PostgresClient>()

/** The clients of the caller's pool, or of a pool that is opened here for a URL. */
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
        if (!listened.has(client)) {
          // When its connection is lost, a client rejects its queries and also emits the error, which would end the process
          // without a listener.
          client.on('error', ignore)
          listened.add(client)
        }
        return client
      },
      release: client => client.release(),
      destroy,
    })
  }

  /** Runs `work`, and runs it again on another client if the first one turns out to be dead. */
  use<T>(call: StoreCall | undefined, work: (client: PostgresClient) => Promise<T>): Promise<T> {
    return this.#clients.use(call, work)
  }

  /** Ends the pool if it was opened here. No call may be under way: an ending pool drops the calls that wait for a client. */
  async close(): Promise<void> {
    await this.#opened?.end()
  }
}

/** Recognized by its message, because pg gives this error no code. */
const isLate = (error: unknown): boolean => /timeout/.test(Object(error).message)

interface WithSocket {
  readonly connection?: { readonly stream?: { destroy(): void } }
}

/** Destroys the socket, because pg waits for the server's goodbye and keeps the client's place in the pool until then. */
function destroy(client: PostgresClient & WithSocket): void {
  client.connection?.stream?.destroy()
  client.release(true)
}

/** A pool that connects when it is first used. */
function openPool(url: string): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    // Less than storeTimeout, so that the driver reports its reason first.
    connectionTimeoutMillis: 3_000,
    query_timeout: 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    allowExitOnIdle: true,
  })
  // Calls report their own failures. Without a listener an idle disconnect would end the process.
  pool.on('error', ignore)
  return pool
}
