import { closeSync, openSync } from 'node:fs'
import { memoryStore, type Store } from 'koa-session-core'
import { SettingError } from './settings.js'

type Environment = Readonly<Record<string, string | undefined>>

// Imported only when chosen, so that the other packages need not be installed.
const stores: Readonly<Record<string, (environment: Environment) => Promise<Store>>> = {
  memory: async () => memoryStore(),
  file: async ({ SESSION_DIRECTORY = 'sessions' }) => {
    const { fileStore } = await import('koa-session-store-file')
    return fileStore({ directory: SESSION_DIRECTORY })
  },
  sqlite: async ({ SESSION_FILE = 'sessions.db' }) => {
    const { sqliteStore } = await import('koa-session-store-sqlite')
    // Node.js 20 has no node:sqlite, which `sqliteStore({ path })` would open.
    const { default: Database } = await import('libsql')
    // SQLite would let everybody on the machine read the file.
    if (SESSION_FILE !== ':memory:') closeSync(openSync(SESSION_FILE, 'a', 0o600))
    const database = new Database(SESSION_FILE, { timeout: 10 })
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    return sqliteStore({ database })
  },
  redis: async environment => {
    const { redisStore } = await import('koa-session-store-redis')
    return redisStore({ url: url(environment, 'REDIS_URL') })
  },
  postgres: async environment => {
    const { postgresStore } = await import('koa-session-store-postgres')
    return postgresStore({ url: url(environment, 'POSTGRES_URL') })
  },
  mysql: async environment => {
    const { mysqlStore } = await import('koa-session-store-mysql')
    return mysqlStore({ url: url(environment, 'MYSQL_URL') })
  },
  mongo: async environment => {
    const { mongoStore } = await import('koa-session-store-mongo')
    return mongoStore({ url: url(environment, 'MONGODB_URL') })
  },
}

function url(environment: Environment, variable: string): string {
  const { STORE, [variable]: value } = environment
  if (!value) throw new SettingError(`STORE=${STORE} needs ${variable}, the URL of the server`)
  return value
}

export const storeNames: readonly string[] = Object.keys(stores)

/** The store named by `STORE`, `memory` by default. */
export async function openStore(environment: Environment = process.env): Promise<Store> {
  const { STORE = 'memory' } = environment
  const open = Object.hasOwn(stores, STORE) ? stores[STORE] : undefined
  if (!open) throw new SettingError(`STORE must be one of ${storeNames.join(', ')}, got ${JSON.stringify(STORE)}`)
  return open(environment)
}
