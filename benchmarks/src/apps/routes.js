import { setTimeout as wait } from 'node:timers/promises'
import { largeSession, smallSession } from './sessions.js'

/** The one answer of handlers that never look at the session. */
const noSession = { userId: 123456, count: 1000, pages: 0 }

/**
 * The handlers, the same for all frameworks: what to answer on this path. `holder` is what carries `session` there, a Koa
 * context or a request of Express or Fastify. Only `/slow-set` and `/sign-out` may be asynchronous.
 */
export function route(path, query, holder, signOut) {
  switch (path) {
    case '/anonymous':
    case '/untouched':
      return noSession
    case '/read':
    case '/read-large':
      return summary(holder.session)
    case '/write':
      holder.session.count++
      return summary(holder.session)
    case '/sign-in':
      Object.assign(holder.session, smallSession())
      return summary(holder.session)
    case '/sign-in-large':
      Object.assign(holder.session, largeSession())
      return summary(holder.session)
    case '/sign-out':
      return signOut(holder)
    case '/slow-set':
      return slowSet(holder, query)
    case '/keys-set':
      return { keys: Object.keys(holder.session).filter(key => /^key\d+$/.test(key)).length }
    default:
      throw new Error(`there is no ${path}`)
  }
}

function summary({ userId, count, history }) {
  return { userId, count, pages: history === undefined ? 0 : history.length }
}

/** Set one key, while other requests on the same session are under way. */
async function slowSet(holder, { key, ms }) {
  const { session } = holder
  await wait(Number(ms))
  session[key] = true
  return { set: key }
}
