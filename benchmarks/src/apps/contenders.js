import { floor } from './floor.js'
import { backends } from './floor-backends.js'
import { koaApp } from './koa-app.js'
import { koaSessionInCookie, koaSessionInMap } from './koa-session.js'
import { stores } from './our-stores.js'

/**
 * Gives the app of a library on a storage, and with `listen(app)` a server for it. `place` has the `url` of the storage's
 * server, and the `folder` for files.
 */
export async function contender(library, storage, place) {
  switch (library) {
    case 'koa':
      return koaApp()
    case 'floor': {
      const middleware = floor(await backends[storage](place))
      return koaApp(app => app.use(middleware))
    }
    case 'ours': {
      const { session } = await import('koa-session-core')
      const middleware = session({ store: await stores[storage](place) })
      return koaApp(app => app.use(middleware))
    }
    case 'koa-session':
      return koaApp(storage === 'cookie' ? koaSessionInCookie : koaSessionInMap)
    case 'express':
      return (await import('./express-app.js')).expressApp()
    case 'express-session': {
      const { expressSession } = await import('./express-session.js')
      return (await import('./express-app.js')).expressApp(await expressSession(storage, place))
    }
    case 'fastify':
    case '@fastify/session':
      return (await import('./fastify-app.js')).fastifyApp(library !== 'fastify')
    default:
      throw new TypeError(`unknown library ${library}`)
  }
}
