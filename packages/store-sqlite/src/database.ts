import { closeSync, openSync } from 'node:fs'

export type SqliteValue = string | number | null

/** The part of a prepared statement that the store needs. */
export interface SqliteStatement {
  run(...values: SqliteValue[]): { readonly changes: number | bigint }
  get(...values: SqliteValue[]): unknown
  all(...values: SqliteValue[]): unknown[]
}

/** The part of a database that the store needs: what node:sqlite, better-sqlite3 and libsql share. */
export interface SqliteDatabase {
  prepare(sql: string): SqliteStatement
  exec(sql: string): unknown
}

interface OwnDatabase extends SqliteDatabase {
  close(): void
}

interface NodeSqlite {
  readonly DatabaseSync: new (path: string) => OwnDatabase
}

/** `node:sqlite`, if this Node.js has it. */
export const nodeSqlite = (): NodeSqlite | undefined =>
  process.getBuiltinModule?.('node:sqlite' as string) as unknown as NodeSqlite | undefined

/**
 * A wait for a lock within the driver blocks the process, so it is short, in milliseconds. Longer ones are between two attempts
 * of the store.
 */
const busyTimeout = 10

/** With `FULL`, a commit is on the disk when it returns, even if the power fails. */
const settings = `PRAGMA busy_timeout = ${busyTimeout}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL`

/** Opens the file, and creates it if it is missing: only its owner may read it. */
export function openFile(path: string): OwnDatabase {
  const { DatabaseSync } = nodeSqlite() as NodeSqlite
  closeSync(openSync(path, 'a', 0o600))
  const database = new DatabaseSync(path)
  try {
    database.exec(settings)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** Whether a transaction is open. better-sqlite3 and libsql call it `inTransaction`, node:sqlite `isTransaction`. */
export function isInTransaction(database: SqliteDatabase): boolean {
  const { inTransaction, isTransaction } = database as { inTransaction?: unknown; isTransaction?: unknown }
  return inTransaction === true || isTransaction === true
}
