/** One of the servers under comparison, named by the first argument, as a process of its own. Tells its port. */
import type { AddressInfo } from 'node:net'
import Koa from 'koa'
import koaSession from 'koa-session'
import { session } from 'koa-session-core'

declare module 'koa-session-core' {
  interface SessionData {
    userId?: number
    cart?: number[]
  }
}

/** The third-party middleware on a store that does as little as a store in memory can. */
function theirs(app: Koa): Koa.Middleware {
  const records = new Map<string, unknown>()
  app.keys = ['a key for the benchmark']
  const store = {
    get: async (key: string) => records.get(key),
    set: async (key: string, value: unknown) => {
      records.set(key, value)
    },
    destroy: async (key: string) => {
      records.delete(key)
    },
  }
  return koaSession({ store }, app) as unknown as Koa.Middleware
}

const app = new Koa()
const [kind] = process.argv.slice(2)
if (kind === 'koa-session') app.use(theirs(app))
else if (kind !== 'koa') app.use(session())

app.use(ctx => {
  if (kind === 'koa' || kind === 'untouched') {
    ctx.body = { userId: 1 }
    return
  }
  if (ctx.path === '/sign-in') {
    ctx.session.userId = 1
    ctx.session.cart = [1, 2, 3]
  }
  if (ctx.path === '/write') ctx.session.cart = [Date.now() + Math.random()]
  ctx.body = { userId: ctx.session.userId }
})

const server = app.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
process.on('disconnect', () => process.exit())
