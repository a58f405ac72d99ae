import Koa from 'koa'
import { route } from './routes.js'
import { largeSession, smallSession } from './sessions.js'

/**
 * The app of every Koa contender. Without `mount` it is bare Koa: its handlers do the same work on objects that are always
 * there.
 */
export function koaApp(mount) {
  const app = new Koa()
  app.silent = true
  mount?.(app)
  const holderOf = mount ? ctx => ctx : bareHolder()
  app.use(async ctx => {
    const answer = route(ctx.path, ctx.query, holderOf(ctx))
    ctx.body = answer instanceof Promise ? await answer : answer
  })
  return app
}

function bareHolder() {
  const small = { session: smallSession() }
  const large = { session: largeSession() }
  return ctx => (ctx.path === '/read-large' ? large : small)
}
