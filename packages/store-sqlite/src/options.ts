import { resolve } from 'node:path'
import { OptionCheck, storeHints } from 'koa-session-core/store'
import { nodeSqlite, type SqliteDatabase } from './database.js'
import { checkTable } from './table.js'

export type SqliteStoreOptions = {
  /**
   * Name of the table, at most 64 characters.
   * @default 'sessions'
   */
  readonly table?: string
  /**
   * Whether to create the table and its indexes when a call finds the table missing.
   * @default true
   */
  readonly createTable?: boolean
} & (
  | {
      /**
       * A `DatabaseSync` of node:sqlite, or a `Database` of better-sqlite3 or libsql. It stays yours: its settings are kept, and
       * `close` leaves it open.
       */
      readonly database: SqliteDatabase
      readonly path?: never
    }
  | {
      /**
       * The file that the store opens by node:sqlite at its first call, relative to the working directory at construction. The
       * folder must exist.
       */
      readonly path: string
      readonly database?: never
    }
)

const names = {
  known: ['database', 'path', 'table', 'createTable'],
  hints: {
    ...storeHints('database: new DatabaseSync(path)', 'path'),
    ...{ client: 'database', db: 'database', connection: 'database', conn: 'database', sqlite: 'database' },
    ...{ file: 'path', filename: 'path', storage: 'path', dir: 'path', directory: 'path' },
    ...{ tablename: 'table', createdatabasetable: 'createTable' },
  },
}

export function checkedOptions(options: SqliteStoreOptions) {
  const check = new OptionCheck('sqliteStore()')
  check.names(options, names)
  const { database, path, table = 'sessions', createTable = true } = options
  check.either(options, 'database', 'path')
  if (database !== undefined) {
    const rule = 'must be a Database of better-sqlite3 or libsql, or a DatabaseSync of node:sqlite'
    check.secret('database', isDatabase(database), rule, database, instead(database))
  }
  if (path !== undefined) checkPath(check, path)
  checkTable(check, table)
  check.that('createTable', typeof createTable === 'boolean', 'must be true or false', createTable)
  check.end()
  return { database, path: path === undefined ? '' : resolve(path), table, createTable }
}

function checkPath(check: OptionCheck, path: unknown): void {
  const isPath = typeof path === 'string' && path !== '' && !path.includes('\0')
  if (!isPath) check.that('path', false, 'must be a non-empty string without NUL', path)
  else if (/^file:|^:memory:$/i.test(path)) {
    check.fault('path', 'must be the path of a file; for anything else open it yourself: database: new Database(…)')
  } else if (!nodeSqlite()) {
    const instead = 'npm i better-sqlite3 (or libsql), and pass database: new Database(path)'
    check.fault('path', `needs node:sqlite of Node.js 22.13 or later, this is ${process.versions.node}: ${instead}`)
  }
}

function isDatabase(database: unknown): boolean {
  const { prepare, exec } = Object(database)
  return (
    typeof database === 'object' && typeof prepare === 'function' && typeof exec === 'function' && !isAsync(database)
  )
}

/** Of sqlite3, whose methods take callbacks. */
const isAsync = (database: unknown): boolean => 'parallelize' in Object(database)

/** A hint for values that people pass by mistake as a database. */
function instead(database: unknown): string {
  if (typeof database === 'string') return 'use path'
  if (typeof database === 'function') return 'make one: new Database(path)'
  if (isAsync(database)) return 'the callbacks of sqlite3 do not fit: use better-sqlite3'
  if ('DatabaseSync' in Object(database)) return 'make one: new DatabaseSync(path)'
  if ('$client' in Object(database)) return 'pass db.$client of drizzle'
  return typeof Object(database).execute === 'function' ? 'clients of @libsql/client do not fit: use libsql' : ''
}
