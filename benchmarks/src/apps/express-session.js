import { join } from 'node:path'
import session from 'express-session'

/** express-session as the READMEs of it and of its stores set it up, saving what changed and nothing for strangers. */
export async function expressSession(storage, { folder, url }) {
  const store = await stores[storage](url, folder)
  return session({
    secret: 'a key for the benchmark',
    resave: false,
    saveUninitialized: false,
    ...(store && { store }),
  })
}

const stores = {
  memory: async () => undefined,
  async redis(url) {
    const { RedisStore } = await import('connect-redis')
    const { createClient } = await import('redis')
    return new RedisStore({ client: await createClient({ url }).connect() })
  },
  async postgres(url) {
    const { default: pgSession } = await import('connect-pg-simple')
    const { default: pg } = await import('pg')
    return new (pgSession(session))({ pool: new pg.Pool({ connectionString: url }), createTableIfMissing: true })
  },
  async mysql(url) {
    const { default: mysqlSession } = await import('express-mysql-session')
    const { hostname, port, username, password, pathname } = new URL(url)
    const account = { user: username, password: decodeURIComponent(password), database: pathname.slice(1) }
    const store = new (mysqlSession(session))({ host: hostname, port: Number(port), ...account })
    await store.onReady()
    return store
  },
  async mongo(url) {
    const { MongoStore } = await import('connect-mongo')
    return MongoStore.create({ mongoUrl: url, collectionName: 'express_sessions' })
  },
  async file(_url, folder) {
    const { default: fileSession } = await import('session-file-store')
    return new (fileSession(session))({ path: join(folder, 'express'), logFn() {} })
  },
}
