import { setTimeout as sleep } from 'node:timers/promises'
import type { MysqlConnection, MysqlConnections, MysqlValue } from './pool.js'

/** How often a statement is tried again that the server undid because of another transaction. */
const maxRetries = 50

/** Milliseconds by which the random pause before the next attempt may grow each time, ten times at most. */
const pause = 5

export class Executor {
  readonly #connections: MysqlConnections
  readonly #creation: string | undefined

  /** `creation` makes the table, where it is missing. */
  constructor(connections: MysqlConnections, creation: string | undefined) {
    this.#connections = connections
    this.#creation = creation
  }

  /** The rows of one of our SELECTs, which tell the connection's `autocommit`. */
  rows(signal: AbortSignal | undefined, sql: string, values: MysqlValue[]): Promise<unknown[]> {
    return this.#connections.use(signal, async connection => {
      let rows = (await this.#run(connection, sql, values)) as StatusRow[]
      if (rows[0] && Number(rows[0].autocommit) === 0) {
        // It may have shown an old snapshot, in which the connection was before it came here.
        await execute(connection, 'COMMIT', [])
        rows = (await this.#run(connection, sql, values)) as StatusRow[]
        await execute(connection, 'COMMIT', [])
      }
      return rows.filter(({ isFound }) => isFound !== null)
    })
  }

  /** How many rows a statement found to change, also where they already were so; none where the key is taken. */
  change(signal: AbortSignal | undefined, sql: string, values: MysqlValue[]): Promise<number> {
    return this.#connections.use(signal, async connection => {
      const { affectedRows, serverStatus } = (await this.#run(connection, sql, values)) as Changed
      if (!isCommitted(serverStatus)) await execute(connection, 'COMMIT', [])
      return affectedRows
    })
  }

  async #run(connection: MysqlConnection, sql: string, values: MysqlValue[]): Promise<unknown> {
    let isCreated = false
    for (let retries = 0; ; ) {
      try {
        return await execute(connection, sql, values)
      } catch (error) {
        // With each of these codes nothing was done.
        switch ((error as { errno?: unknown } | undefined)?.errno) {
          // Duplicate key: the condition does not hold, which is no failure. The status is unknown, and so may be a lock.
          case 1062:
            return { affectedRows: 0, serverStatus: 0 } satisfies Changed
          // There is no such table.
          case 1146:
            if (this.#creation === undefined || isCreated) throw error
            await execute(connection, this.#creation, [])
            isCreated = true
            continue
          // No such column.
          case 1054:
            throw foreignTable(error as Error)
          // A deadlock, a wait for a lock that took too long, or a row changed meanwhile.
          case 1213:
          case 1205:
          case 1020:
            if (++retries > maxRetries) throw error
            await sleep(Math.random() * pause * Math.min(retries, 10))
            continue
          default:
            throw error
        }
      }
    }
  }
}

/** Each of our statements names columns that a table of another program lacks, so it has done nothing there. */
function foreignTable(error: Error & { code?: string }): Error {
  const message = `the table has not the columns of a session (${error.message}): it belongs to another program; give another name by the option table`
  return Object.assign(new Error(message), { code: error.code })
}

interface StatusRow {
  readonly autocommit: unknown
  readonly isFound: unknown
}

interface Changed {
  readonly affectedRows: number
  readonly serverStatus?: number
}

/** Whether the server says that it commits by itself, and that no transaction is open. */
const isCommitted = (status = 2): boolean => (status & 3) === 2

/** A pool may have its own ideas of what a row looks like; they do not matter here. */
const form = {
  rowsAsArray: false,
  nestTables: false,
  // A function, because mysql2 takes anything else for none, and then the pool's.
  typeCast: (_field: unknown, next: () => unknown) => next(),
}

/** Each connection prepares a statement once. */
async function execute(connection: MysqlConnection, sql: string, values: MysqlValue[]): Promise<unknown> {
  const [result] = await connection.execute({ sql, values, ...form })
  return result
}
