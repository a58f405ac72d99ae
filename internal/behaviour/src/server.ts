/**
 * One of several server processes of the same site, started by `startProcesses`: its stores come from the module named by
 * the first argument, whose `create(world)` opens one. The first part of a path names the world, the second what to do.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Koa, { type Context } from 'koa'
import { type SessionMembers, type Sessions, type Store, session } from 'koa-session-core'
import { type Gate, gate } from './gate.js'

interface World {
  readonly sessions: Sessions
  readonly handle: ReturnType<Koa['callback']>
  /** Opened by `/release`, for handlers that wait. */
  readonly released: Gate
}

interface LooseSession extends SessionMembers {
  [name: string]: unknown
}

const [module = ''] = process.argv.slice(2)
const { create } = (await import(module)) as { create(world: string): Store | Promise<Store> }
const worlds = new Map<string, Promise<World>>()

async function open(name: string): Promise<World> {
  const app = new Koa()
  const released = gate()
  const subject = (data: object) => (data as { user?: string }).user
  const sessions = session({ store: await create(name), subject, sweepInterval: 0, storeTimeout: 30_000 })
  app.use(sessions).use(async ctx => {
    const { searchParams, pathname } = new URL(ctx.url, 'http://localhost')
    // Read now and finish later: what the request knows is old by then.
    const data = { ...ctx.session }
    if (searchParams.has('wait')) {
      process.send?.('waiting')
      await released.opened
    }
    const value = await act(sessions, ctx, pathname.split('/')[2] ?? '', searchParams.get('key') ?? 'key')
    ctx.body = { value: value === undefined ? data : value }
  })
  return { sessions, released, handle: app.callback() }
}

function act(sessions: Sessions, ctx: Context, action: string, key: string): unknown {
  const current = ctx.session as unknown as LooseSession
  if (action === 'set') current[key] = true
  else if (action === 'flash') ctx.flash(key)
  else if (action === 'take') return ctx.flash()
  else if (action === 'sign-in') current.user = key
  else if (action === 'rotate') return current.rotateId()
  else if (action === 'revoke') return sessions.revokeAll(key)
  else if (action === 'log-out') return current.destroy()
  else if (action === 'raise') {
    return current.update(data => {
      const counts = data as { n?: number; list?: string[] }
      counts.n = (counts.n ?? 0) + 1
      counts.list ??= []
      counts.list.push(key)
    })
  }
  return undefined
}

const server = createServer(async (request, response) => {
  const [, name = '', action = ''] = (request.url ?? '').split(/[/?]/)
  if (!worlds.has(name)) worlds.set(name, open(name))
  const { handle, released } = (await worlds.get(name)) as World
  if (action !== 'release') return handle(request, response)
  released.open()
  response.end()
})

// Held up by other processes, a browser would use a connection that the server has just given up.
server.keepAliveTimeout = 0
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
// The channel closes when the parent is done or dies.
process.on('disconnect', async () => {
  server.closeAllConnections()
  server.close()
  for (const world of worlds.values()) await (await world).sessions.close()
  process.exit()
})
