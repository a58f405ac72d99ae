import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import type Koa from 'koa'
import createSession from 'koa-session'
import { createClient } from 'redis'

const require = createRequire(import.meta.url)
const genericSession = require('koa-generic-session')
const koaRedis = require('koa-redis')
const expressSession = require('express-session')
const { RedisStore } = require('connect-redis')
const PgStore = require('connect-pg-simple')(expressSession)
const { Pool } = require('pg')

export const keys = ['new secret', 'old secret']

/** Another library, and how to read what it kept. */
export interface Before {
  readonly name: string
  /** Middleware that sets `ctx.session`. */
  mount(app: Koa, maxAge: number | null): void
  /** `from`, out of the exports of the blocks of docs/migrating.md. */
  from(blocks: Record<string, any>): any
}

export interface Servers {
  readonly redis: string | undefined
  readonly postgres: string | undefined
}

/** Each library with each kind of store, as far as there is a server for it. `onEnd` takes what closes their connections. */
export async function before(
  { redis, postgres }: Servers,
  onEnd: (close: () => unknown) => void,
): Promise<readonly Before[]> {
  const all: Before[] = [koaSessionCookies, koaSessionStore(mapStore(), 'a store')]
  const memory = new expressSession.MemoryStore()
  const { sessions } = memory
  all.push(
    express(
      () => Object.assign(new expressSession.MemoryStore(), { sessions }),
      'a store',
      // As the document advises for any other store.
      blocks => blocks.fromExpressSession(keys, (id: string) => promisify(memory.get.bind(memory))(id)),
    ),
  )
  if (redis) {
    const store = koaRedis({ url: redis })
    store.setMaxListeners(0)
    onEnd(() => store.quit())
    // It takes no 'session'.
    const set = (key: string, value: unknown, maxAge: unknown) =>
      store.set(key, value, maxAge === 'session' ? 0 : maxAge)
    all.push(koaSessionStore({ get: store.get.bind(store), set, destroy: store.destroy.bind(store) }, 'koa-redis'))
    all.push(generic(store, 'koa-redis', blocks => blocks.fromGenericSession(store)))
    all.push(generic(store, 'koa-redis, read by its client', blocks => blocks.fromGenericSession(store.client)))
    const client = await createClient({ url: redis }).connect()
    onEnd(() => client.close())
    const from: Before['from'] = blocks => blocks.fromExpressSession(keys, blocks.readRedis(client))
    all.push(express(() => new RedisStore({ client }), 'connect-redis', from))
  }
  if (postgres) {
    const pool = new Pool({ connectionString: postgres })
    onEnd(() => pool.end())
    const store = () => new PgStore({ pool, createTableIfMissing: true, pruneSessionInterval: false })
    // One store makes the table before there are several.
    const first = store()
    await promisify(first.get.bind(first))('nobody')
    const from: Before['from'] = blocks => blocks.fromExpressSession(keys, blocks.readPostgres(pool))
    all.push(express(store, 'connect-pg-simple', from))
  }
  return all
}

export const koaSessionCookies: Before = {
  name: 'koa-session, cookies',
  mount: (app, maxAge) => app.use(createSession({ maxAge: maxAge ?? 'session' }, app)),
  from: blocks => blocks.from,
}

function koaSessionStore(store: any, name: string): Before {
  return {
    name: `koa-session, ${name}`,
    mount: (app, maxAge) => app.use(createSession({ maxAge: maxAge ?? 'session', store }, app)),
    from: blocks => blocks.fromKoaSession(store),
  }
}

function generic(store: any, name: string, from: Before['from']): Before {
  return {
    name: `koa-generic-session, ${name}`,
    mount: (app, maxAge) => app.use(genericSession({ store, cookie: { maxAge } })),
    from,
  }
}

/** `store`: makes one. Each app gets its own, because express-session changes it. */
function express(store: () => any, name: string, from: Before['from']): Before {
  return {
    name: `express-session, ${name}`,
    mount(app, maxAge) {
      const run = expressSession({
        secret: keys,
        store: store(),
        resave: false,
        saveUninitialized: false,
        unset: 'destroy',
        cookie: { maxAge },
      })
      app.use(async (ctx, next) => {
        await promisify(run)(ctx.req, ctx.res)
        Object.defineProperty(ctx, 'session', {
          get: () => (ctx.req as any).session,
          set: value => Object.assign(ctx.req, { session: value }),
        })
        return next()
      })
    },
    from,
  }
}

/** A store as the README of koa-session describes it. It keeps text, as one behind a network does. */
function mapStore() {
  const records = new Map<string, string>()
  return {
    get: async (key: string) => JSON.parse(records.get(key) ?? 'null'),
    set: async (key: string, value: unknown) => void records.set(key, JSON.stringify(value)),
    destroy: async (key: string) => void records.delete(key),
  }
}
