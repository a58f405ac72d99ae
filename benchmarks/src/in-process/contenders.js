import { pathToFileURL } from 'node:url'
import { floor, mapBackend } from '../apps/floor.js'
import { koaApp } from '../apps/koa-app.js'
import { koaSessionInMap } from '../apps/koa-session.js'

/** The app of this name: `koa`, `floor`, `koa-session`, `ours`, or the path of a built core. */
export async function contender(name) {
  switch (name) {
    case 'koa':
      return koaApp()
    case 'floor':
      return koaApp(app => app.use(floor(mapBackend())))
    case 'koa-session':
      return koaApp(koaSessionInMap)
    default: {
      const { session } = await import(name === 'ours' ? 'koa-session-core' : pathToFileURL(name).href)
      return koaApp(app => app.use(session()))
    }
  }
}
