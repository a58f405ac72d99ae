import { join } from 'node:path'
import { openSqlite } from './sqlite.js'

/** Our stores as their READMEs set them up. Tables have names of their own: another library calls its own `sessions`. */
export const stores = {
  memory: async () => (await import('koa-session-core')).memoryStore(),
  file: async ({ folder }) =>
    (await import('koa-session-store-file')).fileStore({ directory: join(folder, 'sessions') }),
  sqlite: async ({ folder }) => {
    const database = openSqlite(join(folder, 'sessions.db'))
    return (await import('koa-session-store-sqlite')).sqliteStore({ database })
  },
  redis: async ({ url }) => (await import('koa-session-store-redis')).redisStore({ url, prefix: 'bench:' }),
  postgres: async ({ url }) =>
    (await import('koa-session-store-postgres')).postgresStore({ url, table: 'bench_sessions' }),
  mysql: async ({ url }) => (await import('koa-session-store-mysql')).mysqlStore({ url, table: 'bench_sessions' }),
  mongo: async ({ url }) => (await import('koa-session-store-mongo')).mongoStore({ url, collection: 'bench_sessions' }),
}
