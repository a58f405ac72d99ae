import { pathToFileURL } from 'node:url'
import { contender } from '../apps/contenders.js'
import { koaApp } from '../apps/koa-app.js'

/** The app of this name on a store in memory: `koa`, `floor`, `koa-session`, `ours`, or the path of a built core. */
export async function inMemory(name) {
  if (!/[/\\]/.test(name)) return contender(name, 'memory', {})
  const { session } = await import(pathToFileURL(name).href)
  return koaApp(app => app.use(session()))
}
