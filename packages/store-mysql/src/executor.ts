import { setTimeout as sleep } from 'node:timers/promises'
import type { StoreCall } from 'koa-session-core'
import { foreignTable } from 'koa-session-core/store'
import type { MysqlConnections, MysqlValue, PoolConnection } from './pool.js'

/** Retries of a statement that the server rolled back because of another transaction. */
const maxRetries = 50

/** The random pause before a retry grows by at most this many milliseconds each time, ten times at most. */
const pause = 5

export class Executor {
  readonly #connections: MysqlConnections
  readonly #creation: string | undefined

  /** `creation` is the SQL that makes a missing table. */
  constructor(connections: MysqlConnections, creation: string | undefined) {
    this.#connections = connections
    this.#creation = creation
  }

  /** The texts that one of our SELECTs found. */
  texts(call: StoreCall | undefined, sql: string, values: MysqlValue[]): Promise<string[]> {
    return this.#connections.use(call, async connection => {
      let texts = textsOf(await this.#run(connection, sql, values))
      if (texts[0]?.startsWith('0')) {
        // The connection may have been in an old snapshot before the pool gave it out.
        await this.#connections.execute(connection, 'COMMIT', [])
        texts = textsOf(await this.#run(connection, sql, values))
        await this.#connections.execute(connection, 'COMMIT', [])
      }
      return texts.filter(text => text.includes(',')).map(text => text.slice(text.indexOf(',') + 1))
    })
  }

  /** The number of rows that a statement matched, even if they did not change. 0 if the key is taken. */
  change(call: StoreCall | undefined, sql: string, values: MysqlValue[]): Promise<number> {
    return this.#connections.use(call, async connection => {
      const { affectedRows, serverStatus } = (await this.#run(connection, sql, values)) as Changed
      if (!isCommitted(serverStatus)) await this.#connections.execute(connection, 'COMMIT', [])
      return affectedRows
    })
  }

  async #run(connection: PoolConnection, sql: string, values: MysqlValue[]): Promise<unknown> {
    let isCreated = false
    for (let retries = 0; ; ) {
      try {
        return await this.#connections.execute(connection, sql, values)
      } catch (error) {
        // A statement that fails with one of these codes has changed nothing.
        switch ((error as { errno?: unknown } | undefined)?.errno) {
          // A duplicate key means that the condition does not hold, not a failure. The reply has no status, and a lock may remain.
          case 1062:
            return { affectedRows: 0, serverStatus: 0 } satisfies Changed
          // There is no such table.
          case 1146:
            if (this.#creation === undefined || isCreated) throw error
            await this.#connections.execute(connection, this.#creation, [])
            isCreated = true
            continue
          // No such column: every statement names those that a table of another program lacks, so none has changed anything there.
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

interface Changed {
  readonly affectedRows: number
  readonly serverStatus?: number
}

/** Whether the server reports autocommit and no open transaction. */
const isCommitted = (status = 2): boolean => (status & 3) === 2

/** The texts of one of our SELECTs, with `autocommit`. Bytes, if one has data in it. */
const textsOf = (rows: unknown): string[] =>
  (rows as { readonly text: Buffer | string | null }[]).map(({ text }) => {
    // The server makes it NULL, with a warning that mysql2 does not tell.
    if (text === null) throw new Error('the session is longer than max_allowed_packet of the server')
    return String(text)
  })
