import { setTimeout as sleep } from 'node:timers/promises'
import type { StoreCall } from 'koa-session-core'
import { elapsed, foreignTable, throwIfAborted, untilAborted } from 'koa-session-core/store'
import { isInTransaction, openFile, type SqliteDatabase, type SqliteStatement, type SqliteValue } from './database.js'
import { isBusy, isForeignTable, isMissingTable } from './failure.js'

/** The random pause before another attempt grows by at most this many milliseconds each time, ten times at most. */
const pause = 4

/** How long to try, in milliseconds, if the caller does not say when to stop. */
const patience = 30_000

interface Settings {
  readonly given: SqliteDatabase | undefined
  readonly path: string
  /** The SQL that makes a missing table. */
  readonly creation: string | undefined
}

/** Runs the statements of a store, each prepared once. */
export class Executor {
  readonly #settings: Settings
  readonly #statements = new Map<string, SqliteStatement>()
  #database: SqliteDatabase | undefined
  /** Settles when no call waits for a lock. */
  #turn: Promise<unknown> = Promise.resolve()
  #opened: ReturnType<typeof openFile> | undefined
  /** Why the last attempt of a call that waits has failed. */
  lastError: unknown

  constructor(settings: Settings) {
    this.#settings = settings
    this.#database = settings.given
  }

  /** The number of rows that a statement has changed. */
  change(sql: string, ...values: SqliteValue[]): number {
    return Number(this.#statement(sql).run(...values).changes)
  }

  /** The column `text` of the first row. */
  text(sql: string, ...values: SqliteValue[]): string | undefined {
    const row = this.#statement(sql).get(...values)
    return row === undefined || row === null ? undefined : textOf(row)
  }

  /** The column `text` of all rows. */
  texts(sql: string, ...values: SqliteValue[]): string[] {
    return this.#statement(sql)
      .all(...values)
      .map(textOf)
  }

  /**
   * Runs `work`, which calls the methods above. While another connection holds a lock, tries again until the call is aborted: `work`
   * has to be safe to run twice, and a wait within the driver would block the process.
   */
  async use<T>(call: StoreCall | undefined, work: () => T): Promise<T> {
    throwIfAborted(call)
    try {
      return this.#attempt(work)
    } catch (error) {
      if (!isBusy(error)) throw error
      this.lastError = error
    }
    return this.#retry(call, work)
  }

  /** One call at a time tries, so that many of them do not wait within the driver one after the other. */
  #retry<T>(call: StoreCall | undefined, work: () => T): Promise<T> {
    let isOver = false
    const isEndless = call?.onAbort === undefined && call?.signal === undefined
    const begun = elapsed()
    const retry = async (): Promise<T> => {
      for (let tries = 0; ; tries++) {
        await sleep(pause * Math.random() * Math.min(tries, 10))
        if (isOver) throw this.lastError
        try {
          return this.#attempt(work)
        } catch (error) {
          if (!isBusy(error) || (isEndless && elapsed() > begun + patience)) throw error
          this.lastError = error
        }
      }
    }
    const trying = this.#turn.then(retry)
    this.#turn = trying.catch(() => {})
    return untilAborted(call, () => trying).finally(() => {
      isOver = true
    })
  }

  close(): void {
    this.#statements.clear()
    this.#opened?.close()
  }

  #attempt<T>(work: () => T): T {
    try {
      this.#open()
      const result = work()
      this.lastError = undefined
      return result
    } catch (error) {
      if (isForeignTable(error)) throw foreignTable(error as Error)
      if (!isMissingTable(error) || this.#settings.creation === undefined) throw error
    }
    this.#create(this.#settings.creation)
    return work()
  }

  #open(): void {
    if (this.#database === undefined) {
      this.#opened = openFile(this.#settings.path)
      this.#database = this.#opened
    }
    // Within a transaction of the app, a write could still be undone, and a read could be old.
    if (this.#settings.given && isInTransaction(this.#settings.given)) {
      throw Object.assign(new Error('the app has not ended its transaction'), { code: 'SQLITE_BUSY' })
    }
  }

  /** All or nothing: a table that is there is never looked at again. */
  #create(creation: string): void {
    const database = this.#database as SqliteDatabase
    database.exec('BEGIN IMMEDIATE')
    try {
      database.exec(creation)
      database.exec('COMMIT')
    } catch (error) {
      rollBack(database)
      throw error
    }
  }

  #statement(sql: string): SqliteStatement {
    const known = this.#statements.get(sql)
    if (known) return known
    const statement = (this.#database as SqliteDatabase).prepare(sql)
    if (typeof statement.run !== 'function') {
      // A promise, which may reject.
      Promise.resolve(statement).catch(() => {})
      throw new TypeError('sqliteStore(): option database must be synchronous: use libsql, not libsql/promise')
    }
    this.#statements.set(sql, statement)
    return statement
  }
}

function rollBack(database: SqliteDatabase): void {
  try {
    database.exec('ROLLBACK')
  } catch {
    // SQLite has done so already.
  }
}

/** A database may be set to give rows as arrays. */
function textOf(row: unknown): string {
  return (Array.isArray(row) ? row[0] : (row as { readonly text: string }).text) as string
}
