/**
 * One of the servers under comparison, named by the first argument, as a process of its own. Tells its port. Plain
 * JavaScript on the built package: a loader of TypeScript names every closure, which costs more than a session.
 */
import Koa from 'koa'
import koaSession from 'koa-session'
import { session } from 'koa-session-core'

/** The third-party middleware on a store that does as little as a store in memory can. */
function theirs(app) {
  const records = new Map()
  app.keys = ['a key for the benchmark']
  const store = {
    get: async key => records.get(key),
    set: async (key, value) => {
      records.set(key, value)
    },
    destroy: async key => {
      records.delete(key)
    },
  }
  return koaSession({ store }, app)
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

const server = app.listen(0, '127.0.0.1', () => process.send?.(server.address().port))
// Asked for the processor time it has used so far, in microseconds.
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.(user + system)
})
process.on('disconnect', () => process.exit())
