import { once } from 'node:events'
import { createRequire } from 'node:module'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { memoryStore } from 'koa-session-core'
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
    const { url, store, errors, socket } = await socketed(t, App, ctx => {
      ctx.session.b = 2
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
