import { setTimeout as sleep } from 'node:timers/promises'
import type { StoreCall } from 'koa-session-core'
import { foreignTable } from 'koa-session-core/store'
import type { Clients, PostgresClient, QueryResult } from './pool.js'
import type { Statement } from './statements.js'

/** Serializes the creation of the table: `IF NOT EXISTS` alone fails if two processes do it at once. */
const creationLock = 'SELECT pg_advisory_xact_lock(7309452681773120867);'

/** Retries of a statement that the server rolled back because of another transaction. */
const maxRetries = 50

/** The random pause before a retry grows by at most this many milliseconds each time, ten times at most. */
const pause = 5

export class Executor {
  readonly #clients: Clients
  readonly #creation: string | undefined
  #isNaming = true

  /** `creation` is the SQL that makes a missing table. */
  constructor(clients: Clients, creation: string | undefined) {
    this.#clients = clients
    this.#creation = creation
  }

  run(call: StoreCall | undefined, statement: Statement, values: unknown[]): Promise<QueryResult> {
    return this.#clients.use(call, client => this.#run(client, statement, values))
  }

  async #run(client: PostgresClient, { name, text }: Statement, values: unknown[]): Promise<QueryResult> {
    let isCreated = false
    for (let retries = 0; ; ) {
      const isNamed = this.#isNaming
      try {
        return await client.query(isNamed ? { name, text, values } : { text, values })
      } catch (error) {
        // A statement that fails with one of these codes has changed nothing.
        switch ((error as { code?: unknown } | undefined)?.code) {
          // A pooler switched connections, so the name is taken or unknown. Stop naming statements.
          case '42P05':
          case '26000':
            if (!isNamed) throw error
            this.#isNaming = false
            continue
          // There is no such table.
          case '42P01':
            if (this.#creation === undefined || isCreated) throw error
            // Several statements in one query are one transaction.
            await client.query({ text: `${creationLock}\n${this.#creation}` })
            isCreated = true
            continue
          // A column is missing, or has another type: every statement names those that a table of another program lacks, so none
          // has changed anything there.
          case '42703':
          case '42883':
          case '42804':
          case '22007':
          case '22008':
          case '22P02':
            throw foreignTable(error as Error)
          // A serialization failure, if `serializable` is the server's default, or a deadlock.
          case '40001':
          case '40P01':
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
