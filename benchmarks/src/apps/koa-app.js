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
    const answer = route(ctx.path, ctx.query, holderOf(ctx), signOut)
    ctx.body = answer instanceof Promise ? await answer : answer
  })
  return app
}

/** All of them end a session in this way. */
function signOut(ctx) {
  ctx.session = null
  return { signedOut: true }
}

/** Stands for a context or a request where there is no session middleware. */
export function bareHolder() {
  const small = { session: smallSession() }
  const large = { session: largeSession() }
  return ({ path, url }) => ((path ?? url) === '/read-large' ? large : small)
}
