import { setTimeout as sleep } from 'node:timers/promises'
import type { Clients, PostgresClient, QueryResult } from './pool.js'
import type { Statement } from './statements.js'

/** Starters make the table one after the other: `IF NOT EXISTS` alone fails where two do it at once. */
const creationLock = 'SELECT pg_advisory_xact_lock(7309452681773120867);'

/** How often a statement is tried again that the server undid because of another transaction. */
const maxRetries = 50

/** Milliseconds by which the random pause before the next attempt may grow each time, ten times at most. */
const pause = 5

export class Executor {
  readonly #clients: Clients
  readonly #creation: string | undefined
  #isNaming = true

  /** `creation` makes the table, where it is missing. */
  constructor(clients: Clients, creation: string | undefined) {
    this.#clients = clients
    this.#creation = creation
  }

  run(signal: AbortSignal | undefined, statement: Statement, values: unknown[]): Promise<QueryResult> {
    return this.#clients.use(signal, client => this.#run(client, statement, values))
  }

  async #run(client: PostgresClient, { name, text }: Statement, values: unknown[]): Promise<QueryResult> {
    let isCreated = false
    for (let retries = 0; ; ) {
      const isNamed = this.#isNaming
      try {
        return await client.query(isNamed ? { name, text, values } : { text, values })
      } catch (error) {
        // With each of these codes nothing was done.
        switch ((error as { code?: unknown } | undefined)?.code) {
          // Behind a pooler the name was given on another connection, or is not known on this one.
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
          // No such column; or one of another type, which has no such operator or takes no such value.
          case '42703':
          case '42883':
          case '42804':
          case '22007':
          case '22008':
          case '22P02':
            throw foreignTable(error as Error)
          // Not serializable, where that is the server's default; a deadlock with a transaction of somebody else.
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

/** Each of our statements names columns that a table of another program lacks, so it has done nothing there. */
function foreignTable(error: Error & { code?: string }): Error {
  const message = `the table has not the columns of a session (${error.message}): it belongs to another program; give another name by the option table`
  return Object.assign(new Error(message), { code: error.code })
}
