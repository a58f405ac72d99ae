import { once } from 'node:events'
import { createServer, type RequestListener, type Server, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { memoryStore, session } from 'koa-session-core'
import { type Ctx, type Handler, Koa2, site, watched } from './support/app.js'

const require = createRequire(import.meta.url)
const websockify = require('koa-websocket') as (app: Koa) => Koa & { ws: { use(middleware: unknown): void } }
/** The WebSocket client that comes with koa-websocket. */
const WebSocket = createRequire(require.resolve('koa-websocket'))('ws') as new (
  url: string,
  options: object,
) => import('node:events').EventEmitter & { send(text: string): void; close(): void }

const get: Handler = async ctx => ({ session: { ...ctx.session }, flash: await ctx.flash() })

for (const [name, App] of Object.entries({ 'Koa 3': Koa, 'Koa 2': Koa2 })) {
  test(`${name}, koa-websocket: a context without ctx.res still commits`, async t => {
    const { url, browser, errors, socket } = await socketed(t, App, async ctx => {
      t.is(ctx.res as unknown, undefined)
      ctx.session.socket = { ...ctx.session }
      ctx.flash('from the socket')
    })
    await browser.get('/set')
    await socket(`${url}/chat`)
    t.deepEqual((await browser.get('/get')).json, {
      session: { a: 1, socket: { a: 1 } },
      flash: ['from the socket'],
    })
    t.deepEqual(errors, [])
  })

  test(`${name}, koa-websocket: later messages are kept by save(), and see an end`, async t => {
    const { url, browser, errors, socket } = await socketed(t, App, ctx => {
      const { session } = ctx
      ctx.websocket.on('message', async (text: Buffer) => {
        session.said = [...(session.said ?? []), String(text)]
        ctx.websocket.send(`saved ${await session.save()}`)
      })
    })
    await browser.get('/set')
    const say = await socket(`${url}/chat`)
    t.is(await say('hello'), 'saved true')
    t.is(await say('again'), 'saved true')
    t.deepEqual((await browser.get('/get')).json.session, { a: 1, said: ['hello', 'again'] })
    await browser.get('/end')
    t.is(await say('anybody?'), 'saved false')
    t.deepEqual((await browser.get('/get')).json.session, {})
    t.deepEqual(errors, [])
  })

  test(`${name}, koa-websocket: a new session, whose id no response can carry, is not created`, async t => {
    const { url, store, errors, socket } = await socketed(t, App, async ctx => {
      ctx.session.b = 2
      await t.throwsAsync(ctx.session.save(), { code: 'ERR_SESSION_HEADERS_SENT' })
    })
    await socket(`${url}/chat`)
    t.deepEqual(
      errors.map(error => error.code),
      ['ERR_SESSION_HEADERS_SENT'],
    )
    t.deepEqual(store.calls, [])
  })
}

type SocketCtx = Ctx & { websocket: InstanceType<typeof WebSocket> }

/** An app whose sessions also serve WebSockets, by koa-websocket. */
async function socketed(t: ExecutionContext, App: typeof Koa, handler: (ctx: SocketCtx) => unknown) {
  const store = watched(memoryStore())
  let finished: Promise<unknown> = Promise.resolve()
  const here = await site(
    t,
    {
      '/set': ctx => {
        ctx.session.a = 1
      },
      '/get': get,
      '/end': ctx => ctx.session.destroy(),
    },
    {
      Koa: App,
      store,
      wrap: (app, sessions) => {
        const { ws } = websockify(app)
        ws.use((ctx: SocketCtx, next: () => Promise<unknown>) => {
          finished = next()
          return finished.finally(() => ctx.websocket.send('ready'))
        })
        ws.use(sessions)
        ws.use(handler)
      },
    },
  )
  const browser = here.client()
  /** Connect with the browser's cookies, until the middleware has ended. The function says something and hears a reply. */
  const socket = async (url: string) => {
    const cookie = [...browser.jar].map(pair => pair.join('=')).join('; ')
    const connection = new WebSocket(url.replace('http', 'ws'), { headers: cookie ? { cookie } : {} })
    t.teardown(() => connection.close())
    await once(connection, 'message')
    await finished
    return async (text: string) => {
      connection.send(text)
      return String((await once(connection, 'message'))[0])
    }
  }
  return { ...here, store, browser, socket }
}

/** How else an app may get a context for an upgrade: the request, and a response whose headers nobody sends. */
const upgrades: Record<string, (server: Server, callback: RequestListener) => void> = {
  "the server's event": (server, callback) => {
    server.on('upgrade', (req, socket) => {
      const res = new ServerResponse(req)
      res.assignSocket(socket as Socket)
      callback(req, res)
    })
  },
  'a request like any other': () => {},
}

for (const [what, install] of Object.entries(upgrades)) {
  for (const [name, App] of Object.entries({ 'Koa 3': Koa, 'Koa 2': Koa2 })) {
    test(`${name}, an upgrade by ${what}: a new session cannot be saved, an old one can`, async t => {
      const store = watched(memoryStore())
      const app = new App()
      const errors: { code?: string }[] = []
      app.on('error', error => errors.push(error))
      const sessions = session({ store })
      app.use(sessions)
      app.use(async context => {
        const ctx = context as unknown as Ctx
        ctx.respond = false
        const told: unknown[] = []
        const tell = (error: { code?: string }) => told.push(error.code)
        told.push(await ctx.session.save())
        ctx.session.n = 1
        await ctx.session.save().then(saved => told.push(saved), tell)
        await ctx.session.rotateId().then(rotated => told.push(rotated), tell)
        ctx.req.socket.end(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n${JSON.stringify(told)}`)
      })
      const callback = app.callback()
      const server = createServer(callback).listen(0, '127.0.0.1')
      install(server, callback)
      await once(server, 'listening')
      t.teardown(() => server.close())
      const upgrade = async (cookie?: string) => {
        const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
        const lines = [
          'GET / HTTP/1.1',
          'Host: a',
          'Connection: Upgrade',
          'Upgrade: WebSocket',
          'Sec-WebSocket-Version: 13',
        ]
        socket.write(`${[...lines, ...(cookie ? [`Cookie: ${cookie}`] : [])].join('\r\n')}\r\n\r\n`)
        return JSON.parse((await text(socket)).split('\r\n\r\n')[1] as string)
      }
      t.deepEqual(await upgrade(), [true, 'ERR_SESSION_HEADERS_SENT', 'ERR_SESSION_HEADERS_SENT'])
      t.deepEqual(store.calls, [])
      const { cookie, key } = await sessions.create({ a: 1 } as object)
      t.deepEqual(await upgrade(cookie), [true, true, 'ERR_SESSION_HEADERS_SENT'])
      t.deepEqual(JSON.parse((await store.read(key))?.data.split('\n')[1] as string), { a: 1, n: 1 })
      t.deepEqual(
        errors.map(({ code }) => code),
        ['ERR_SESSION_HEADERS_SENT'],
        'of the first, what was not awaited',
      )
    })
  }
}
