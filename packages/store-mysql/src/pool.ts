import { clearTimeout, setTimeout } from 'node:timers'
import { untilAborted } from 'koa-session-core/store'
import { createPool, type Pool } from 'mysql2'

/** What the store needs of a pool: the `Pool` of mysql2/promise has it, and that of mysql2 gives it. */
export type MysqlPool = MysqlPromisePool | MysqlCallbackPool

export interface MysqlPromisePool {
  getConnection(): Promise<MysqlConnection>
}

export interface MysqlCallbackPool {
  promise(): MysqlPromisePool
}

/** What the store needs of a connection that a pool gives out. */
export interface MysqlConnection {
  execute(statement: {
    sql: string
    values: MysqlValue[]
    rowsAsArray: boolean
    nestTables: boolean
    typeCast: (field: unknown, next: () => unknown) => unknown
  }): Promise<[unknown, unknown]>
  release(): void
  destroy(): void
}

export type MysqlValue = string | number | Buffer | null

/** How long one call may use a connection of our own, in milliseconds: mysql2 bounds connecting only. */
const callTimeout = 10_000

const ignore = () => {}

/** The connections of a pool that stays the caller's, or of one that is opened here for a URL. */
export class Connections {
  readonly #pool: MysqlPromisePool
  readonly #opened: Pool | undefined
  readonly #running = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined

  constructor(given: MysqlPool | undefined, url: string) {
    this.#opened = given === undefined ? openPool(url) : undefined
    const pool: MysqlPool = given ?? (this.#opened as Pool)
    this.#pool = 'promise' in pool ? pool.promise() : pool
  }

  /** Gives a connection to `work`. As soon as the signal aborts, the call ends with its reason and so does the connection. */
  async use<T>(signal: AbortSignal | undefined, work: (connection: MysqlConnection) => Promise<T>): Promise<T> {
    signal?.throwIfAborted()
    if (this.#closing && this.#opened) throw new Error('the mysql store is closed')
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

  async #use<T>(signal: AbortSignal | undefined, work: (connection: MysqlConnection) => Promise<T>): Promise<T> {
    const connection = await this.#connect(signal)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const expire = () => reject(new Error(`mysql gave no answer within ${callTimeout} ms`))
      if (this.#opened) timer = setTimeout(expire, callTimeout)
    })
    let result: T
    try {
      result = await untilAborted(signal, () => Promise.race([work(connection), late]))
    } catch (error) {
      // What it is still doing is unknown, so that nobody else can use it.
      destroy(connection)
      throw error
    } finally {
      clearTimeout(timer)
    }
    connection.release()
    return result
  }

  async #connect(signal: AbortSignal | undefined): Promise<MysqlConnection> {
    const connecting = this.#pool.getConnection()
    try {
      return await untilAborted(signal, () => connecting)
    } catch (error) {
      // A pool cannot be told that nobody waits any more: what it gives out later goes back.
      connecting.then(connection => connection.release(), ignore)
      throw error
    }
  }

  async #end(pool: Pool): Promise<void> {
    await Promise.allSettled(this.#running)
    // A connection that is lost rather than ended is released as well.
    await pool.promise().end().catch(ignore)
  }
}

interface WithSocket {
  readonly stream?: { destroy(): void; unref(): void }
}

/** mysql2 itself only says goodbye, which leaves the socket open where nobody answers. */
function destroy(connection: MysqlConnection & { connection?: WithSocket }): void {
  connection.destroy()
  connection.connection?.stream?.destroy()
}

/** A pool that connects when it is first used. */
function openPool(url: string): Pool {
  const pool = createPool({ uri: url, connectTimeout: 5_000 })
  pool.on('connection', connection => {
    // Failures reach whoever called; a second error event without a listener would end the process.
    connection.on('error', ignore)
    // An idle connection does not keep the process alive. A call does, by its timer.
    ;(connection as WithSocket).stream?.unref()
  })
  return pool
}
