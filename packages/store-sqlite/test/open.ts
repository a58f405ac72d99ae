import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type SqliteDatabase, sqliteStore } from 'koa-session-store-sqlite'
import Libsql from 'libsql'

export type Closable = SqliteDatabase & { close(): unknown }

const nodeSqlite = process.getBuiltinModule?.('node:sqlite' as string) as unknown as
  | { readonly DatabaseSync: new (path: string) => Closable }
  | undefined

/** Whether this Node.js has node:sqlite. */
export const hasNodeSqlite = nodeSqlite !== undefined

/** A connection of an app, by node:sqlite or else by libsql. */
export function connect(path: string): Closable {
  return nodeSqlite ? new nodeSqlite.DatabaseSync(path) : (new Libsql(path, { timeout: 5_000 }) as Closable)
}

/** A store on a connection of its own to a file in `folder`. */
export function open(folder: string, world: string) {
  const path = join(folder, `${world}.db`)
  if (hasNodeSqlite) return sqliteStore({ path })
  const database = connect(path)
  // Several processes may open a new file at once.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10')
  const store = sqliteStore({ database })
  return {
    ...store,
    async close() {
      await store.close()
      database.close()
    },
  }
}

/** The folder that all processes of one test run share. */
export const create = (world: string) => open(process.env.SQLITE_WORLDS ?? tmpdir(), world)
