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

  /** The rows a SELECT gives. */
  async rows(signal: AbortSignal | undefined, sql: string, values: MysqlValue[]): Promise<unknown[]> {
    const result = await this.#connections.use(signal, connection => this.#run(connection, sql, values))
    return result as unknown[]
  }

  /** How many rows a statement found to change, also where they already were so; none where the key is taken. */
  async change(signal: AbortSignal | undefined, sql: string, values: MysqlValue[]): Promise<number> {
    const result = await this.#connections.use(signal, connection => this.#run(connection, sql, values))
    return (result as { affectedRows: number }).affectedRows
  }

  async #run(connection: MysqlConnection, sql: string, values: MysqlValue[]): Promise<unknown> {
    let isCreated = false
    for (let retries = 0; ; ) {
      try {
        return await execute(connection, sql, values)
      } catch (error) {
        // With each of these codes nothing was done.
        switch ((error as { errno?: unknown } | undefined)?.errno) {
          // Duplicate key: the condition does not hold, which is no failure.
          case 1062:
            return { affectedRows: 0 }
          // There is no such table.
          case 1146:
            if (this.#creation === undefined || isCreated) throw error
            await execute(connection, this.#creation, [])
            isCreated = true
            continue
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
