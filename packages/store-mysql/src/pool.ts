import { setTimeout } from 'node:timers'
import type { StoreCall } from 'koa-session-core'
import { answerWithin, elapsed, IdleConnections } from 'koa-session-core/store'
import { createPool, type Pool } from 'mysql2'

/** The part of a pool that the store needs: `Pool` of mysql2/promise, or the result of `promise()` of mysql2's. */
export type MysqlPool = MysqlPromisePool | MysqlCallbackPool

export interface MysqlPromisePool {
  getConnection(): Promise<MysqlConnection>
}

export interface MysqlCallbackPool {
  promise(): MysqlPromisePool
}

/** The part of a pool's connection that the store needs. */
export interface MysqlConnection {
  execute(statement: MysqlStatement): Promise<[unknown, unknown]>
  release(): void
  destroy(): void
}

export interface MysqlStatement {
  readonly sql: string
  readonly values: MysqlValue[]
  readonly rowsAsArray: boolean
  readonly nestTables: boolean
  readonly typeCast: (field: unknown, next: () => unknown) => unknown
}

export type MysqlValue = string | number | Buffer | null

/** A connection as its pool gives it out. */
export interface PoolConnection {
  release(): void
  destroy(): void
}

/** mysql2's own pool, which is below a promise pool too. Its promises cost more than its callbacks. */
interface CorePool {
  getConnection(done: (error: unknown, connection: CoreConnection) => void): void
}

type Done = (error: unknown, result: unknown) => void

interface CoreConnection extends PoolConnection {
  execute(statement: MysqlStatement, done: Done): void
  execute(sql: string, values: MysqlValue[], done: Done): void
  readonly config?: { readonly typeCast?: unknown; readonly rowsAsArray?: unknown; readonly nestTables?: unknown }
}

/** How long one call may use a connection of our own pool, in milliseconds. mysql2 itself bounds only connecting. */
const callTimeout = 10_000

/** How long a connection of our own may stay idle, in milliseconds. Less than firewalls and servers allow. */
const idleTime = 30_000

/** How long a connection may take to say goodbye, in milliseconds. */
const goodbyeTime = 500

const ignore = () => {}

/** The connections of the caller's pool, or of a pool that is opened here for a URL. */
export class MysqlConnections {
  readonly #opened: OwnPool | undefined
  readonly #connections: IdleConnections<PoolConnection>
  /** Runs a statement; each connection prepares it once. */
  readonly execute: (connection: PoolConnection, sql: string, values: MysqlValue[]) => Promise<unknown>

  constructor(given: MysqlPool | undefined, url: string) {
    this.#opened = given === undefined ? openPool(url) : undefined
    const pool: MysqlPool = given ?? (this.#opened as OwnPool).pool
    const core = [pool, (pool as { pool?: unknown }).pool].find(isCore)
    const promising = 'promise' in pool ? pool.promise() : pool
    this.execute = core ? executeByCallback : executeByPromise
    this.#connections = new IdleConnections<PoolConnection>({
      store: 'mysql',
      callTimeout: this.#opened && callTimeout,
      ...(this.#opened && { isLate }),
      connect: core ? () => connectByCallback(core) : () => promising.getConnection(),
      ...(!core && { identityOf: innerOf }),
      release: connection => connection.release(),
      destroy,
    })
  }

  /** Runs `work`, and runs it again on another connection if the first one turns out to be dead. */
  use<T>(call: StoreCall | undefined, work: (connection: PoolConnection) => Promise<T>): Promise<T> {
    return this.#connections.use(call, work)
  }

  /** Ends the pool if it was opened here. No call may be under way. */
  async close(): Promise<void> {
    await this.#opened?.end()
  }
}

const isCore = (pool: unknown): pool is CorePool =>
  typeof Object(pool).promise === 'function' && typeof Object(pool).getConnection === 'function'

const connectByCallback = (pool: CorePool): Promise<CoreConnection> =>
  new Promise((resolve, reject) => {
    pool.getConnection((error, connection) => (error ? reject(error) : resolve(connection)))
  })

const executeByCallback: MysqlConnections['execute'] = (connection, sql, values) =>
  new Promise((resolve, reject) => {
    const core = connection as CoreConnection
    const done = (error: unknown, result: unknown) => (error ? reject(error) : resolve(result))
    if (isPlain(core.config)) core.execute(sql, values, done)
    else core.execute({ sql, values, ...form }, done)
  })

const executeByPromise: MysqlConnections['execute'] = async (connection, sql, values) => {
  return (await (connection as MysqlConnection).execute({ sql, values, ...form }))[0]
}

/** Overrides the pool's settings for rows and types. */
const form = {
  rowsAsArray: false,
  nestTables: false,
  // Must be a function: mysql2 ignores anything else and uses the pool's.
  typeCast: (_field: unknown, next: () => unknown) => next(),
}

/** Whether there is nothing to override, which costs mysql2 closures for each value. */
const isPlain = (config: CoreConnection['config']): boolean =>
  config?.typeCast === true && !config.rowsAsArray && !config.nestTables

const isLate = (error: unknown): boolean => Object(error).code === 'ETIMEDOUT'

interface WithSocket {
  readonly stream?: { destroy(): void; unref(): void; once(event: 'close', listener: () => void): void }
}

/** The promise pool wraps a connection anew each time. */
const innerOf = (connection: object): object & WithSocket =>
  (connection as { connection?: object }).connection ?? connection

/** Destroys the socket: mysql2 only says goodbye, which leaves the socket open if the server does not answer. */
function destroy(connection: { destroy(): void }): void {
  connection.destroy()
  innerOf(connection).stream?.destroy()
}

interface OwnPool {
  readonly pool: Pool
  end(): Promise<void>
}

/** A pool that connects when it is first used. */
function openPool(url: string): OwnPool {
  const own = { connectTimeout: 3_000, keepAliveInitialDelay: 10_000 }
  // The driver would prefer these to the settings in the URL.
  const asked = new URL(url).searchParams
  const pool = createPool({
    uri: url,
    ...Object.fromEntries(Object.entries(own).filter(([name]) => !asked.has(name))),
    // mysql2's own timer for idle connections would keep the process alive.
    maxIdle: Number.MAX_SAFE_INTEGER,
  })
  const open = new Set<{ destroy(): void }>()
  pool.on('connection', connection => {
    // Calls report their own failures. Without a listener a second error event would end the process.
    connection.on('error', ignore)
    const { stream } = connection as WithSocket
    // An idle connection does not keep the process alive. A call does, by its timer.
    stream?.unref()
    open.add(connection)
    stream?.once('close', () => open.delete(connection))
  })
  endIdle(pool)
  return {
    pool,
    async end() {
      // The goodbye of a forgotten connection is never answered.
      await answerWithin('mysql', goodbyeTime, pool.promise().end()).catch(ignore)
      for (const connection of open) destroy(connection)
    },
  }
}

/** Ends connections that were idle for `idleTime`. */
function endIdle(pool: Pool): void {
  // In the order in which they became idle.
  const idleSince = new Map<{ destroy(): void }, number>()
  let timer: NodeJS.Timeout | undefined

  function wait(milliseconds: number): void {
    timer = setTimeout(end, milliseconds).unref()
  }

  function end(): void {
    timer = undefined
    for (const [connection, since] of idleSince) {
      const left = since + idleTime - elapsed()
      if (left > 0) {
        wait(left)
        return
      }
      idleSince.delete(connection)
      destroy(connection)
    }
  }

  pool.on('acquire', connection => idleSince.delete(connection))
  pool.on('release', connection => {
    idleSince.set(connection, elapsed())
    if (timer === undefined) wait(idleTime)
  })
}
