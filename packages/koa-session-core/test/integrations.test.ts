import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { createServer, type RequestListener, type Server, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import Router from '@koa/router'
import test, { type ExecutionContext } from 'ava'
import Koa, { type Middleware } from 'koa'
import { memoryStore, type SessionData, session } from 'koa-session-core'
import { agent } from 'supertest'
import { type Ctx, type Handler, Koa2, type Site, site, watched } from './support/app.js'
import { body } from './support/body.js'
import type { Client } from './support/client.js'

const csrf = createRequire(import.meta.url)('koa-csrf') as new (options?: object) => Middleware
const get: Handler = async ctx => ({ session: { ...ctx.session }, flash: await ctx.flash() })

for (const [name, App] of Object.entries({ 'Koa 3': Koa, 'Koa 2': Koa2 })) {
  test(`${name}: a session, a flash message, an error and an end`, async t => {
    const { url, errors } = await site(
      t,
      {
        '/set': ctx => {
          ctx.session.userId = 123
          ctx.flash('Signed in')
          ctx.redirect('/')
        },
        '/get': get,
        '/refuse': ctx => {
          ctx.session.tries = 1
          ctx.throw(401)
        },
        '/fail': ctx => {
          ctx.session.tries = 2
          throw new Error('oops')
        },
        '/end': ctx => {
          ctx.session = null
        },
      },
      { Koa: App },
    )
    const browser = agent(url)
    const refused = await browser.get('/refuse').expect(401)
    t.is(refused.get('Set-Cookie')?.length, 1)
    t.like(refused.headers, { 'cache-control': 'no-store', vary: 'Cookie' })
    await browser.get('/fail').expect(500)
    await browser.get('/set').expect(302)
    t.deepEqual(JSON.parse((await browser.get('/get')).text), {
      session: { tries: 1, userId: 123 },
      flash: ['Signed in'],
    })
    await browser.get('/end').expect('Set-Cookie', /^sid=; /)
    t.deepEqual(JSON.parse((await browser.get('/get')).text), { session: {}, flash: [] })
    t.deepEqual(
      errors.map(error => error.message),
      ['Unauthorized', 'oops'],
    )
  })

  test(`${name}, @koa/router: sessions in route handlers, route middleware, parameters and nested routers`, async t => {
    const inner = new Router()
    inner.get('/:n', ctx => {
      const session = (ctx as unknown as Ctx).session
      session.seen = [...(session.seen ?? []), ctx.params.n]
      ctx.body = session.seen
    })
    const router = new Router({ prefix: '/shop' })
    router.use((ctx, next) => {
      ;(ctx as unknown as Ctx).session.visits = ((ctx as unknown as Ctx).session.visits ?? 0) + 1
      return next()
    })
    router.use('/items', inner.routes())
    router.get('/session', async ctx => {
      ctx.body = { ...ctx.session }
    })
    const middleware = [router.routes(), router.allowedMethods()] as unknown as Middleware[]
    const browser = (await site(t, {}, { Koa: App, middleware })).client()
    t.deepEqual((await browser.get('/shop/items/1')).json, ['1'])
    t.deepEqual((await browser.get('/shop/items/2')).json, ['1', '2'])
    t.deepEqual((await browser.get('/shop/session')).json, { seen: ['1', '2'], visits: 3 })
    t.is((await browser.post('/shop/session')).status, 405)
  })

  test(`${name}, koa-csrf: a token is good in its own session only`, async t => {
    const { client } = await site(
      t,
      { '/form': ctx => ctx.state._csrf, '/do': ctx => [ctx.method, Object.keys(ctx.session)] },
      { Koa: App, middleware: [body, new csrf()] },
    )
    const browser = client()
    const token: string = (await browser.get('/form')).json
    t.like(await browser.post('/do', {}), { status: 403, cookies: [] })
    t.is((await browser.post('/do', { _csrf: `${token}x` })).status, 403)
    const done = { status: 200, text: '["POST",["secret"]]' }
    t.like(await browser.post('/do', { _csrf: token }), done)
    t.like(await browser.post('/do', {}, { headers: { 'X-CSRF-Token': token } }), done)
    t.like(await browser.post('/do', { _csrf: (await browser.get('/form')).json }), done)
    const other = client()
    await other.get('/form')
    t.is((await other.post('/do', { _csrf: token })).status, 403)
    t.is((await client().post('/do', { _csrf: token })).status, 403)
  })

  test(`${name}: an accessor for session that another library put on app.context is not in the way`, async t => {
    const { client } = await site(
      t,
      {
        '/set': ctx => {
          ctx.session.a = 1
        },
        '/get': get,
      },
      {
        Koa: App,
        before: app => {
          const refuse = () => t.fail('it was used')
          for (const property of ['session', 'flash'])
            Object.defineProperty(app.context, property, { get: refuse, set: refuse })
        },
      },
    )
    const browser = client()
    await browser.get('/set')
    t.deepEqual((await browser.get('/get')).json, { session: { a: 1 }, flash: [] })
  })
}

const require = createRequire(import.meta.url)
const websockify = require('koa-websocket') as (app: Koa) => Koa & { ws: { use(middleware: unknown): void } }
/** The WebSocket client that comes with koa-websocket. */
const WebSocket = createRequire(require.resolve('koa-websocket'))('ws') as new (
  url: string,
  options: object,
) => import('node:events').EventEmitter & { send(text: string): void; close(): void }

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

const grant = createRequire(import.meta.url)('grant') as { koa(config: object): Middleware }

for (const [name, App] of Object.entries({ 'Koa 3': Koa, 'Koa 2': Koa2 })) {
  test(`${name}, grant: an OAuth 2 flow with state, nonce and PKCE keeps its state in the session`, async t => {
    const { browser, oauth } = await granted(t, App)
    const reply = await oauth('/connect/two?scope=mail')
    t.is(reply.headers.get('location'), '/done')
    const { grant: kept, cart } = (await browser.get('/get')).json
    t.deepEqual(cart, [1])
    t.deepEqual(kept.response, {
      access_token: 'two-token',
      refresh_token: 'two-refresh',
      raw: { access_token: 'two-token', refresh_token: 'two-refresh' },
    })
    t.like(kept, { provider: 'two', dynamic: { scope: 'mail' } })
  })

  test(`${name}, grant: an OAuth 2 callback in another session is refused`, async t => {
    const { client, oauth } = await granted(t, App)
    const stranger = client()
    const { stolen } = await oauth('/connect/two', 'stop')
    await stranger.get('/connect/two')
    await stranger.get(stolen)
    t.like((await stranger.get('/get')).json.grant, { response: { error: 'Grant: OAuth2 state mismatch' } })
  })

  test(`${name}, grant: an OAuth 1 flow keeps its request token in the session`, async t => {
    const { browser, oauth } = await granted(t, App)
    t.is((await oauth('/connect/one')).headers.get('location'), '/done')
    t.like((await browser.get('/get')).json.grant, {
      request: { oauth_token: 'request', oauth_token_secret: 'request-secret' },
      response: { access_token: 'one-token', access_secret: 'one-secret' },
    })
  })
}

/** An app with grant and a provider of OAuth 1 and 2 to sign in at, both over HTTP on loopback. */
async function granted(t: ExecutionContext, App: typeof Koa) {
  let challenge: string | null = null
  let callback = ''
  const provider = createServer(async (req, res) => {
    const { pathname, searchParams } = new URL(req.url ?? '/', 'http://provider')
    let text = ''
    for await (const chunk of req) text += chunk
    const form = new URLSearchParams(text)
    const header = Object.fromEntries(
      [...(req.headers.authorization ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value = '']) => [
        key,
        decodeURIComponent(value),
      ]),
    )
    const redirect = (to: string, query: object) =>
      res.writeHead(302, { Location: `${to}?${new URLSearchParams({ ...query })}` }).end()
    const answer = (good: boolean, query: object) =>
      res
        .writeHead(good ? 200 : 400, { 'Content-Type': 'application/x-www-form-urlencoded' })
        .end(new URLSearchParams({ ...query }).toString())
    if (pathname === '/two/authorize') {
      challenge = searchParams.get('code_challenge')
      redirect(searchParams.get('redirect_uri') ?? '', { code: 'code', state: searchParams.get('state') })
    } else if (pathname === '/two/token') {
      const verified = createHash('sha256')
        .update(form.get('code_verifier') ?? '')
        .digest('base64url')
      answer(form.get('code') === 'code' && verified === challenge, {
        access_token: 'two-token',
        refresh_token: 'two-refresh',
      })
    } else if (pathname === '/one/request') {
      callback = header.oauth_callback ?? ''
      answer(true, { oauth_token: 'request', oauth_token_secret: 'request-secret' })
    } else if (pathname === '/one/authorize') {
      redirect(callback, { oauth_token: searchParams.get('oauth_token'), oauth_verifier: 'verifier' })
    } else if (pathname === '/one/access') {
      const good = header.oauth_token === 'request' && header.oauth_verifier === 'verifier'
      answer(good, { oauth_token: 'one-token', oauth_token_secret: 'one-secret' })
    }
  }).listen(0, '127.0.0.1')
  await once(provider, 'listening')
  t.teardown(() => {
    provider.close()
    provider.closeAllConnections()
  })
  const there = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`
  let handler: Middleware | undefined
  const here = await site(
    t,
    {
      '/fill': ctx => {
        ctx.session.cart = [1]
      },
      '/get': ctx => ({ ...ctx.session }),
    },
    { Koa: App, middleware: [(ctx, next) => (handler as Middleware)(ctx, next)] },
  )
  const common = { key: 'key', secret: 'secret', callback: '/done' }
  handler = grant.koa({
    defaults: { origin: here.url, transport: 'session' },
    one: {
      ...common,
      oauth: 1,
      request_url: `${there}/one/request`,
      authorize_url: `${there}/one/authorize`,
      access_url: `${there}/one/access`,
    },
    two: {
      ...common,
      oauth: 2,
      state: true,
      nonce: true,
      pkce: true,
      dynamic: ['scope'],
      authorize_url: `${there}/two/authorize`,
      access_url: `${there}/two/token`,
    },
  })
  const browser = here.client()
  await browser.get('/fill')
  /** From our site to the provider and back; with `'stop'`, up to the address the provider sends the browser back to. */
  const oauth = async (path: string, stop?: 'stop') => {
    const started = await browser.get(path)
    const provided = await fetch(started.headers.get('location') ?? '', { redirect: 'manual' })
    const back = new URL(provided.headers.get('location') ?? '')
    const stolen = back.pathname + back.search
    return { stolen, headers: stop ? started.headers : (await browser.get(stolen)).headers }
  }
  return { ...here, browser, oauth }
}

/** The little of koa-passport that is used here; it has no types. */
interface Passport {
  use(strategy: unknown): void
  serializeUser(fn: (user: User, done: (error: null, id: string) => void) => void): void
  deserializeUser(fn: (id: string, done: (error: null, user: User) => void) => void): void
  initialize(): Middleware
  session(): Middleware
  authenticate(name: string, options: object): Middleware
}
interface User {
  readonly name: string
}

const folder = mkdtempSync(join(tmpdir(), 'koa-session-passport-'))
test.after.always(() => rmSync(folder, { recursive: true, force: true }))

/** koa-passport as npm would install it beside a passport of that version: it requires `passport` by name. */
function koaPassport(alias: 'passport-06' | 'passport-07'): Passport {
  const modules = join(folder, alias, 'node_modules')
  mkdirSync(modules, { recursive: true })
  cpSync(dirname(require.resolve('koa-passport/package.json')), join(modules, 'koa-passport'), { recursive: true })
  symlinkSync(dirname(require.resolve(`${alias}/package.json`)), join(modules, 'passport'))
  const there = createRequire(join(modules, 'index.js'))
  const wanted = alias === 'passport-06' ? '0.6.' : '0.7.'
  if (!there('passport/package.json').version.startsWith(wanted)) throw new Error(`this is not passport ${wanted}`)
  const { KoaPassport } = there('koa-passport') as { KoaPassport: new () => Passport }
  const { Strategy } = require('passport-local') as { Strategy: new (verify: unknown) => unknown }
  const passport = new KoaPassport()
  passport.use(
    new Strategy((name: string, password: string, done: (...args: unknown[]) => void) => {
      if (password === 'right') done(null, { name })
      else done(null, false, { message: `Wrong password, ${name}` })
    }),
  )
  passport.serializeUser((user, done) => done(null, user.name))
  passport.deserializeUser((name, done) => done(null, { name }))
  return passport
}

const passports = {
  '0.6': koaPassport('passport-06'),
  '0.7': koaPassport('passport-07'),
}
const subject = (data: SessionData) => (data as { passport?: { user?: string } }).passport?.user
const worlds = Object.entries({ 'Koa 3': Koa, 'Koa 2': Koa2 }).flatMap(([koaName, App]) =>
  Object.entries(passports).flatMap(([version, passport]) => [
    { name: `${koaName}, passport ${version}`, App, passport, options: {} },
    { name: `${koaName}, passport ${version}, option subject`, App, passport, options: { subject } },
  ]),
)

for (const { name, App, passport, options } of worlds) {
  const local = (how: object) => passport.authenticate('local', how)
  const routes: Record<string, Middleware> = {
    '/login': local({
      successRedirect: '/me',
      failureRedirect: '/login',
      successFlash: 'Welcome',
      failureFlash: true,
    }),
    '/login-keep': local({ successReturnToOrRedirect: '/me', keepSessionInfo: true, successMessage: 'Hello' }),
    '/login-message': local({ failureRedirect: '/login', failureMessage: true }),
    '/login-status': local({}),
  }
  const start = (t: ExecutionContext): Promise<Site> =>
    site(
      t,
      {
        '/me': async ctx => ({ user: ctx.state.user, session: { ...ctx.session }, flash: await ctx.flash() }),
        '/fill': ctx => {
          ctx.session.cart = { items: [1] }
        },
        '/want': ctx => {
          ctx.session.returnTo = '/wanted'
          ctx.flash('Sign in first')
          ctx.redirect('/login')
        },
        '/logout': async (ctx, next) => {
          await (ctx as unknown as { logout(options: object): Promise<void> }).logout(ctx.query)
          ctx.redirect('/')
          return next()
        },
      },
      {
        ...options,
        Koa: App,
        middleware: [
          body,
          passport.initialize(),
          passport.session(),
          (ctx, next) => (routes[ctx.path] ?? ((_, go) => go()))(ctx, next),
        ],
      },
    )
  const login = (browser: Client, path = '/login', password = 'right') =>
    browser.post(path, { username: 'Ada', password })
  const me = async (browser: Client) => (await browser.get('/me')).json
  const stranger = { session: {}, flash: [] }

  test(`login gives a new session and ends the old one (${name})`, async t => {
    const { client, errors } = await start(t)
    const browser = client()
    await browser.get('/fill')
    const before = browser.fork()
    const reply = await login(browser)
    t.like(reply, { status: 302, cookies: { length: 1 } })
    t.is(reply.headers.get('location'), '/me')
    t.not(browser.jar.get('sid'), before.jar.get('sid'))
    t.like(await me(browser), { user: { name: 'Ada' }, session: { passport: { user: 'Ada' }, cart: undefined } })
    t.deepEqual(await me(before), stranger)
    t.deepEqual(errors, [])
  })

  test(`successFlash arrives with the next request, once (${name})`, async t => {
    const browser = (await start(t)).client()
    await browser.get('/want')
    await login(browser)
    t.deepEqual((await me(browser)).flash, [{ type: 'success', message: 'Welcome' }])
    t.deepEqual((await me(browser)).flash, [])
  })

  test(`failureFlash arrives with the next request, once, and the session goes on (${name})`, async t => {
    const browser = (await start(t)).client()
    const failed = { type: 'error', message: 'Wrong password, Ada' }
    t.is((await login(browser, '/login', 'wrong')).headers.get('location'), '/login')
    t.deepEqual(await me(browser), { session: {}, flash: [failed] })
    await browser.get('/fill')
    await login(browser, '/login', 'wrong')
    t.deepEqual(await me(browser), { session: { cart: { items: [1] } }, flash: [failed] })
    t.deepEqual((await me(browser)).flash, [])
  })

  test(`failureMessage and a plain 401 (${name})`, async t => {
    const browser = (await start(t)).client()
    await login(browser, '/login-message', 'wrong')
    await login(browser, '/login-message', 'wrong')
    t.deepEqual((await me(browser)).session, { messages: Array(2).fill('Wrong password, Ada') })
    t.is((await login(browser, '/login-status', 'wrong')).status, 401)
  })

  test(`keepSessionInfo keeps the data, and returnTo works (${name})`, async t => {
    const browser = (await start(t)).client()
    await browser.get('/fill')
    await browser.get('/want')
    const before = browser.fork()
    t.is((await login(browser, '/login-keep')).headers.get('location'), '/wanted')
    t.deepEqual((await me(browser)).session, { cart: { items: [1] }, messages: ['Hello'], passport: { user: 'Ada' } })
    t.deepEqual(await me(before), stranger)
  })

  test(`logout ends the session, even for a copy of the cookie (${name})`, async t => {
    const { client, errors } = await start(t)
    const browser = client()
    await login(browser)
    await browser.get('/fill')
    const stolen = browser.fork()
    t.is((await browser.get('/logout')).headers.get('location'), '/')
    t.deepEqual(await me(browser), stranger)
    t.deepEqual(await me(stolen), stranger)
    t.deepEqual(errors, [])
  })

  test(`logout with keepSessionInfo signs out and keeps the rest under a new id (${name})`, async t => {
    const browser = (await start(t)).client()
    await login(browser)
    await browser.get('/fill')
    const stolen = browser.fork()
    await browser.get('/logout?keepSessionInfo=true')
    const { user, session } = await me(browser)
    t.deepEqual([user, session.cart, session.passport?.user], [undefined, { items: [1] }, undefined])
    t.not(browser.jar.get('sid'), stolen.jar.get('sid'))
    t.deepEqual(await me(stolen), stranger)
  })

  test(`a double-clicked login signs in (${name})`, async t => {
    const browser = (await start(t)).client()
    await browser.get('/fill')
    const [one, two] = [browser.fork(), browser.fork()]
    await Promise.all([login(one), login(two)])
    t.deepEqual((await me(one)).user, { name: 'Ada' })
    t.deepEqual((await me(two)).user, { name: 'Ada' })
  })
}
