import { once } from 'node:events'
import { type AddressInfo, Server } from 'node:net'
import { pathToFileURL } from 'node:url'
import Router from '@koa/router'
import Koa from 'koa'
import { session } from 'koa-session-core'
import { hangUp } from './hang-up.js'

export type Visit = readonly [method: string, path: string, body?: string]

/** A running app, and the cookie that it gave to its visitor. */
export interface Visited {
  readonly port: number
  readonly cookie: string
}

/** A browser asks for the icon of a site by itself. */
const reload: readonly Visit[] = ['/', '/favicon.ico', '/', '/'].map(path => ['GET', path])

/**
 * Import a block as a module. An app that it starts, or whose routes it adds to the given `router`, is sent one request for
 * each route, or the `visits`, and loses clients at every step of them. Resolves to the
 * answers, such as `GET / 200`. `meet` sees the app before clients are lost.
 */
export async function run(
  path: string,
  visits: readonly Visit[] = reload,
  meet?: (visited: Visited) => Promise<unknown>,
): Promise<string[]> {
  const app = new Koa()
  const router = new Router()
  const sessions = session({ subject: data => (data as { userId?: number }).userId?.toString() })
  Object.assign(globalThis, { app, router, sessions })
  const servers: Server[] = []
  const begun = new Set<Server>()
  const { listen } = Server.prototype
  const { log } = console
  console.log = () => {}
  // A block gets a free port, whichever it names.
  Server.prototype.listen = function (this: Server) {
    servers.push(this)
    this.once('listening', () => begun.add(this))
    return Reflect.apply(listen, this, [0, '127.0.0.1'])
  }
  try {
    await import(pathToFileURL(path).href)
    if (router.stack.length > 0) app.use(sessions).use(router.routes()).listen(0)
    const routes = router.stack.map(({ methods, path }): Visit => [methods.at(-1) ?? 'GET', String(path)])
    const requests = routes.length > 0 ? routes : visits
    const answers: string[] = []
    // A block that sends its own requests also closes its server.
    const open = servers.filter(server => server.listening || !begun.has(server))
    for (const server of open) answers.push(...(await ask(server, requests, meet)))
    return answers
  } finally {
    Server.prototype.listen = listen
    console.log = log
    for (const server of servers) server.close()
  }
}

/** One client with one cookie jar sends the requests one after another. */
async function ask(
  server: Server,
  requests: readonly Visit[],
  meet: ((visited: Visited) => Promise<unknown>) | undefined,
): Promise<string[]> {
  if (!server.listening) await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const answers: string[] = []
  let cookie = ''
  for (const [method, path, body] of requests) {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      ...(body !== undefined && { body }),
      headers: { ...(cookie && { cookie }), connection: 'close' },
      redirect: 'manual',
    })
    cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? cookie
    answers.push(`${method} ${path} ${response.status} ${await response.text()}`)
  }
  await meet?.({ port, cookie })
  await hangUp(server, requests, cookie)
  return answers
}
