import { join } from 'node:path'
import { openSqlite } from './sqlite.js'

/**
 * Our stores as their READMEs set them up. Tables have names of their own, because another library calls its own `sessions`;
 * `name` makes another store in the same place.
 */
export const stores = {
  memory: async () => (await import('koa-session-core')).memoryStore(),
  file: async ({ folder, name = 'sessions' }) =>
    (await import('koa-session-store-file')).fileStore({ directory: join(folder, name) }),
  sqlite: async ({ folder, name = 'sessions' }) => {
    const database = openSqlite(join(folder, `${name}.db`))
    return (await import('koa-session-store-sqlite')).sqliteStore({ database })
  },
  redis: async ({ url, name = 'bench' }) =>
    (await import('koa-session-store-redis')).redisStore({ url, prefix: `${name}:` }),
  postgres: async ({ url, name = 'bench_sessions' }) =>
    (await import('koa-session-store-postgres')).postgresStore({ url, table: name }),
  mysql: async ({ url, name = 'bench_sessions' }) =>
    (await import('koa-session-store-mysql')).mysqlStore({ url, table: name }),
  mongo: async ({ url, name = 'bench_sessions' }) =>
    (await import('koa-session-store-mongo')).mongoStore({ url, collection: name }),
}
