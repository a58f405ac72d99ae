import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { inspect } from 'node:util'
import type { Middleware } from 'koa'
import type { SessionOptions } from 'koa-session-core'
import { type Ctx, gate, type Handler } from '../support/app.js'
import { type Answer, platforms, serve } from '../support/serve.js'
import { test } from '../support/test.js'

const HTTP1 = platforms['Koa 3, HTTP/1'] as (typeof platforms)[string]
const ours = ({ cookies }: Answer): string[] => cookies.filter(line => line.startsWith('sid='))
const idOf = (answer: Answer): string | undefined => /^sid=([\w-]{43});/.exec(ours(answer)[0] ?? '')?.[1]

/** Its fields belong to itself: a copy, or an object that inherits from it, has none of them. */
class Sealed extends Error {
  readonly #status = 403
  readonly #message = 'sealed'
  get status(): number {
    return this.#status
  }
  set status(status: number) {
    if (status !== this.#status) throw new TypeError('not to be set')
  }
  override get message(): string {
    return this.#message
  }
  get headers(): Record<string, string> {
    return { 'X-Status': String(this.#status) }
  }
}

const thrown: Record<string, { make: () => unknown; status: number }> = {
  'an Error': { make: () => new Error('bug'), status: 500 },
  'an HTTP error': { make: () => Object.assign(new Error('no'), { status: 401, expose: true }), status: 401 },
  'a string': { make: () => 'bug', status: 500 },
  'a number': { make: () => 42, status: 500 },
  'an object with a status': { make: () => ({ status: 403 }), status: 500 },
  'a frozen object': { make: () => Object.freeze({ status: 403 }), status: 500 },
  'a DOMException': { make: () => AbortSignal.abort().reason, status: 500 },
  'an error with private fields': { make: () => new Sealed(), status: 403 },
  'an error that cannot be extended': {
    make: () => Object.preventExtensions(Object.assign(new Error('no'), { status: 401 })),
    status: 401,
  },
}

for (const [on, platform] of Object.entries(platforms)) {
  for (const [what, { make, status }] of Object.entries(thrown)) {
    test(`${on}: what was thrown reaches the app untouched, and the cookie the client: ${what}`, async t => {
      const value = make()
      const before = descriptors(value)
      const caught: unknown[] = []
      const outside: Middleware = async (_, next) => {
        try {
          await next()
        } catch (error) {
          caught.push(error, descriptors(error))
          throw error
        }
      }
      const handler: Handler = async ctx => {
        ctx.session.n = 1
        await ctx.session.save()
        throw value
      }
      const { ask, errors } = await serve(t, platform, handler, { outside: [outside] })
      const answer = await ask()
      t.is(answer.status, status)
      t.is(caught[0], value)
      t.deepEqual(caught[1], before)
      if (value instanceof Error) t.is(errors[0], value)
      t.is(ours(answer).length, 1)
      t.deepEqual([answer.header('vary'), answer.header('cache-control')], [['Cookie'], ['no-store']])
      const id = idOf(answer) as string
      for (const one of [value, ...errors]) {
        t.false(inspect(one, { showHidden: true, depth: 9 }).includes(id))
        t.false(JSON.stringify(descriptors(one)).includes(id))
      }
      if (value instanceof Sealed) t.deepEqual(answer.header('x-status'), ['403'])
    })
  }

  for (const [what, make] of Object.entries<() => unknown>({
    'a frozen error': () => Object.freeze(Object.assign(new Error('no'), { status: 401 })),
    'an object that does not let itself be read': () => {
      const { proxy, revoke } = Proxy.revocable({}, {})
      revoke()
      return proxy
    },
    nothing: () => undefined,
  })) {
    test(`${on}: what Koa itself cannot answer is for the app, untouched: ${what}`, async t => {
      const value = make()
      const same: boolean[] = []
      const outside: Middleware = async (ctx, next) => {
        try {
          await next()
        } catch (error) {
          same.push(error === value)
          ctx.status = 418
        }
      }
      const handler: Handler = async ctx => {
        ctx.session.n = 1
        await ctx.session.save()
        throw value
      }
      const { ask } = await serve(t, platform, handler, { outside: [outside] })
      const answer = await ask()
      t.deepEqual([answer.status, same, ours(answer).length], [418, [true], 1])
    })
  }

  test(`${on}: one rejection of a time limit that three requests wait for`, async t => {
    const signal = AbortSignal.timeout(50)
    const shared = once(signal, 'abort').then(() => {
      throw signal.reason
    })
    shared.catch(() => {})
    const handler: Handler = async ctx => {
      ctx.session.n = 1
      await ctx.session.save()
      await shared
    }
    const { ask, app } = await serve(t, platform, handler)
    const messages: string[] = []
    app.on('error', error => messages.push(error.message))
    const answers = await Promise.all([ask(), ask(), ask()])
    t.deepEqual(
      answers.map(({ status }) => status),
      [500, 500, 500],
    )
    t.is(new Set(answers.map(idOf)).size, 3)
    t.is(messages.length, 3)
  })

  test(`${on}: headers that an error brings go with those of the session`, async t => {
    const cases: [Record<string, string | string[]>, string, string][] = [
      [{ 'Cache-Control': 'public, max-age=600' }, 'Cookie', 'no-store'],
      [{ 'cache-control': 'private, max-age=600' }, 'Cookie', 'private, max-age=600'],
      [{ vary: 'Origin' }, 'Origin, Cookie', 'no-store'],
      [{ Vary: 'origin, COOKIE' }, 'origin, COOKIE', 'no-store'],
      [{ Vary: '*' }, '*', 'no-store'],
      [{ 'Set-Cookie': ['app=1', 'sid=other; Path=/'] }, 'Cookie', 'no-store'],
    ]
    const handler: Handler = ctx => {
      ctx.session.n = 1
      ctx.throw(404, 'x', { headers: cases[Number(ctx.path.slice(1))]?.[0] })
    }
    const { ask } = await serve(t, platform, handler)
    for (const [at, [headers, vary, cacheControl]] of cases.entries()) {
      const answer = await ask(`/${at}`)
      t.is(answer.status, 404)
      t.deepEqual([answer.header('vary'), answer.header('cache-control')], [[vary], [cacheControl]])
      t.truthy(idOf(answer))
      t.deepEqual(
        answer.cookies.filter(line => line !== ours(answer)[0]),
        'Set-Cookie' in headers ? ['app=1'] : [],
      )
    }
  })

  test(`${on}: a middleware outside of the session cannot undo its headers`, async t => {
    const after: Record<string, (ctx: Parameters<Middleware>[0]) => void> = {
      '/public': ctx => ctx.set('Cache-Control', 'public, max-age=60'),
      '/vary': ctx => ctx.set('Vary', 'Accept'),
      '/cookies': ctx => ctx.set('Set-Cookie', ['app=1; Path=/', 'sid=; Path=/; Max-Age=0']),
      '/one': ctx => ctx.set('Set-Cookie', 'app=1; Path=/'),
      '/strip': ctx => {
        for (const name of Object.keys(ctx.response.headers)) ctx.remove(name)
      },
    }
    const outside: Middleware = async (ctx, next) => {
      await next()
      after[ctx.path]?.(ctx)
    }
    const { ask } = await serve(
      t,
      platform,
      ctx => {
        ctx.session.n = 1
        ctx.status = 204
      },
      { outside: [outside] },
    )
    for (const path of Object.keys(after)) {
      const answer = await ask(path)
      t.truthy(idOf(answer), path)
      t.is(ours(answer).length, 1, path)
      t.deepEqual(answer.header('cache-control'), ['no-store'], path)
      t.deepEqual(answer.header('vary'), [path === '/vary' ? 'Accept, Cookie' : 'Cookie'], path)
      const app = path === '/cookies' || path === '/one' ? ['app=1; Path=/'] : []
      t.deepEqual(
        answer.cookies.filter(line => !line.startsWith('sid=')),
        app,
        path,
      )
    }
  })

  test(`${on}: error handlers that keep the headers neither lose nor double a cookie`, async t => {
    const handlers: Record<string, Middleware> = {
      // As handlers do that set a page and the error's own headers, and keep all others.
      '/keeps': async (ctx, next) => {
        try {
          await next()
        } catch (error) {
          const { headers, status } = error as { headers?: Record<string, string>; status: number }
          if (headers) ctx.set(headers)
          ctx.status = status
          ctx.body = 'sorry'
        }
      },
      // As those do that remove all headers and put them back one by one.
      '/restores': async (ctx, next) => {
        try {
          await next()
        } catch {
          const { headers } = ctx.response
          for (const name of Object.keys(headers)) ctx.res.removeHeader(name)
          for (const [name, value] of Object.entries(headers)) ctx.set(name, value as string)
          ctx.status = 401
        }
      },
      // As those do that write and end the response themselves.
      '/writes': async (ctx, next) => {
        try {
          await next()
        } catch {
          ctx.respond = false
          ctx.res.writeHead(401, { 'Content-Type': 'text/plain' })
          ctx.res.end('sorry')
        }
      },
    }
    const outside: Middleware = (ctx, next) => (handlers[ctx.path] as Middleware)(ctx, next)
    const handler: Handler = async ctx => {
      const context = ctx as unknown as Parameters<Middleware>[0]
      context.cookies.set('app', '1')
      ctx.session.n = 1
      if (context.query.saves !== undefined) await ctx.session.save()
      context.cookies.set('late', '2')
      ctx.throw(401, 'no', { headers: { 'WWW-Authenticate': 'Basic' } })
    }
    const { ask } = await serve(t, platform, handler, { outside: [outside] })
    for (const path of Object.keys(handlers)) {
      for (const query of ['', '?saves']) {
        const answer = await ask(path + query)
        t.is(answer.status, 401)
        t.deepEqual(answer.cookies.map(line => line.split('=')[0]).sort(), ['app', 'late', 'sid'], path + query)
      }
    }
  })

  for (const saves of [true, false]) {
    test(`${on}: a response that the app writes itself, ${saves ? 'after save()' : 'when the handler has ended'}`, async t => {
      const lines = [
        ['X-Own', 'a'],
        ['Set-Cookie', 'up=1; Path=/'],
        ['Set-Cookie', 'sid=upstream; Path=/; HttpOnly'],
        ['Set-Cookie', 'down=2'],
        ['Vary', 'Accept'],
        ['Vary', 'Origin'],
        ['Cache-Control', 'public'],
      ] as const
      const asObject = {
        'X-Own': 'a',
        'set-cookie': ['up=1; Path=/', 'sid=upstream', 'down=2'],
        Vary: 'Accept, Origin',
      }
      const cache = { 'cache-control': 'public' }
      type Res = { writeHead(...args: unknown[]): { end(body: string): void }; end(body: string): void } & Ctx['res']
      const ways: Record<string, (res: Res) => void> = {
        '/object': res => res.writeHead(200, { ...asObject, ...cache }).end('own'),
        '/lines': res => res.writeHead(200, lines.flat()).end('own'),
        '/set': res => {
          res.statusCode = 200
          for (const [name, value] of Object.entries({ ...asObject, ...cache })) res.setHeader(name, value)
          res.end('own')
        },
        '/append': res => {
          res.statusCode = 200
          for (const [name, value] of lines) res.appendHeader(name, value)
          res.write('own')
          res.end()
        },
        '/flush': res => {
          for (const [name, value] of Object.entries({ ...asObject, ...cache })) res.setHeader(name, value)
          res.statusCode = 200
          res.flushHeaders()
          res.end('own')
        },
        '/both': res => {
          for (const [name, value] of Object.entries(asObject)) res.setHeader(name, value)
          res.writeHead(200, ['cache-control', 'public']).end('own')
        },
      }
      if (!platform.http2) {
        ways['/reason'] = res => res.writeHead(200, 'Fine', { ...asObject, ...cache }).end('own')
        ways['/reason-lines'] = res => res.writeHead(200, 'Fine', lines.flat()).end('own')
      }
      const handler: Handler = async ctx => {
        ctx.respond = false
        ctx.session.n = 1
        const write = () => ways[ctx.path]?.(ctx.res as unknown as Res)
        if (saves) {
          t.true(await ctx.session.save())
          t.regex(String(ctx.res.getHeader('Set-Cookie')), /^sid=/, 'the app can see it')
          write()
        } else setTimeout(write, 20)
      }
      const { ask, errors } = await serve(t, platform, handler)
      for (const path of Object.keys(ways)) {
        const answer = await ask(path)
        t.deepEqual([answer.status, answer.text], [200, 'own'], path)
        t.deepEqual(
          answer.cookies.map(line => line.split(';')[0]?.slice(0, 6)).sort(),
          ['down=2', ours(answer)[0]?.slice(0, 6), 'up=1'],
          path,
        )
        t.truthy(idOf(answer), path)
        t.deepEqual(answer.header('x-own'), ['a'], path)
        t.deepEqual(answer.header('vary').join(', ').split(', ').sort(), ['Accept', 'Cookie', 'Origin'], path)
        t.regex(answer.header('cache-control').join(), /no-store/, path)
      }
      t.deepEqual(errors, [])
    })
  }
}

const descriptors = (value: unknown): unknown =>
  typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptors(value) : value

test('A constant error carries nothing from one client, who hung up, to another', async t => {
  const constant = Object.assign(new Error('no'), { status: 401 })
  const waits = gate()
  const goes = gate()
  const reached = gate()
  const outside: Middleware = async (ctx, next) => {
    if (ctx.path === '/b') throw constant
    await next().finally(reached.open)
  }
  const handler: Handler = async ctx => {
    ctx.session.n = 1
    waits.open()
    await goes.promise
    throw constant
  }
  const { ask, port } = await serve(t, HTTP1, handler, { outside: [outside] })
  const socket = connect(port, '127.0.0.1')
  socket.write('GET /a HTTP/1.1\r\nHost: a\r\n\r\n')
  await waits.promise
  socket.resetAndDestroy()
  await new Promise(resolve => setTimeout(resolve, 20))
  goes.open()
  await reached.promise.catch(() => {})
  const answer = await ask('/b')
  t.deepEqual([answer.status, answer.cookies, answer.header('vary')], [401, [], []])
})

test('A constant error carries nothing from an answer that waits behind a download to another', async t => {
  const constant = Object.assign(new Error('no'), { status: 401 })
  const goes = gate()
  const thrown = gate()
  const outside: Middleware = async (ctx, next) => {
    if (ctx.path === '/b') throw constant
    if (ctx.path !== '/download') return next()
    ctx.respond = false
    ctx.res.write('begun')
    await goes.promise
    ctx.res.end()
  }
  const handler: Handler = ctx => {
    ctx.session.n = 1
    setImmediate(thrown.open)
    throw constant
  }
  const { ask, port } = await serve(t, HTTP1, handler, { outside: [outside] })
  const socket = connect(port, '127.0.0.1')
  let got = ''
  socket.setEncoding('utf8').on('data', chunk => {
    got += chunk
  })
  socket.write('GET /download HTTP/1.1\r\nHost: a\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await thrown.promise
  const answer = await ask('/b')
  t.deepEqual([answer.status, answer.cookies, answer.header('vary')], [401, [], []])
  goes.open()
  await once(socket, 'close')
  t.regex(got, /HTTP\/1.1 401[^]*Set-Cookie: sid=[\w-]{43};/i)
})

test('Cache-Control becomes no-store unless a directive of it is private or no-store', async t => {
  const cases: Record<string, string> = {
    private: 'private',
    'No-Store': 'No-Store',
    'max-age=60 , PRIVATE': 'max-age=60 , PRIVATE',
    'x="a, b", private': 'x="a, b", private',
    'x="\\"", no-store': 'x="\\"", no-store',
    'max-age=60, x="private"': 'no-store',
    'x="a, private, b"': 'no-store',
    'x="\\", private, y="': 'no-store',
    'x="unclosed, private': 'no-store',
    'not-private': 'no-store',
    'private-ish, no-storee': 'no-store',
    // A shared cache may keep all of the response but the named headers (RFC 9111, section 5.2.2.7).
    'private="set-cookie"': 'no-store',
    'private=set-cookie': 'no-store',
    'private=""': 'no-store',
    'no-store=1': 'no-store',
    'no-cache, must-revalidate': 'no-store',
    'private no-store': 'no-store',
    '': 'no-store',
  }
  const handler: Handler = ctx => {
    ctx.session.n = 1
    ctx.set('Cache-Control', decodeURIComponent(ctx.path.slice(1)))
    ctx.status = 204
  }
  const { ask } = await serve(t, HTTP1, handler)
  for (const [said, expected] of Object.entries(cases)) {
    t.deepEqual((await ask(`/${encodeURIComponent(said)}`)).header('cache-control'), [expected], said)
  }
})

test('A proxied response keeps the cookie of the session, also one that awaits save() or rotateId()', async t => {
  const upstream = createServer((_, res) => {
    res.writeHead(200, { 'set-cookie': ['up=1', 'sid=upstream; Path=/'], vary: 'Accept', 'cache-control': 'public' })
    res.end('from upstream')
  }).listen(0, '127.0.0.1')
  t.teardown(() => upstream.close())
  await once(upstream, 'listening')
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
  const handler: Handler = async ctx => {
    ctx.session.n = 1
    if (ctx.path === '/save') await ctx.session.save()
    if (ctx.path === '/rotate') await ctx.session.rotateId()
    const response = await fetch(url)
    ctx.status = response.status
    for (const [name, value] of response.headers) if (name !== 'set-cookie') ctx.set(name, value)
    ctx.set('Set-Cookie', response.headers.getSetCookie())
    return response.text()
  }
  for (const path of ['/', '/save', '/rotate']) {
    const { ask } = await serve(t, HTTP1, async (ctx, next) => {
      ctx.body = await handler(ctx, next)
    })
    const answer = await ask(path)
    t.is(answer.cookies.length, 2, path)
    t.true(answer.cookies.includes('up=1'), path)
    t.truthy(idOf(answer), path)
    t.deepEqual([answer.header('vary'), answer.header('cache-control')], [['Accept, Cookie'], ['no-store']], path)
  }
})

test('What closes over a response shows no id', async t => {
  let seen = ''
  let id = ''
  const { ask } = await serve(t, HTTP1, async ctx => {
    ctx.session.n = 1
    await ctx.session.save()
    id = ctx.session.id
    ctx.res.removeHeader('Set-Cookie')
    seen = inspect([ctx.res, ctx], { showHidden: true, depth: 9, getters: false })
    ctx.status = 204
  })
  const answer = await ask()
  t.is(idOf(answer), id)
  t.true(seen.length > 1_000)
  t.false(seen.includes(id))
})

test.serial('Koa, where nobody listens, logs no id', async t => {
  const logged: string[] = []
  const { error: log } = console
  console.error = (...args) => void logged.push(inspect(args))
  t.teardown(() => {
    console.error = log
  })
  for (const [on, platform] of Object.entries(platforms)) {
    for (const value of [{ status: 403 }, 'bug', new Error('bug'), AbortSignal.abort().reason]) {
      const handler: Handler = async ctx => {
        await ctx.session.rotateId()
        ctx.session.n = 1
        await ctx.session.save()
        throw value
      }
      const { ask } = await serve(t, platform, handler, { listens: false })
      const answer = await ask()
      t.is(answer.status, 500, on)
      t.truthy(idOf(answer))
      t.is(logged.length, 1)
      t.false(logged.pop()?.includes(idOf(answer) as string))
    }
  }
})

test('Without a session opened, and without a cookie of it, headers are the app’s alone', async t => {
  const sent: Answer[] = []
  const handler: Handler = ctx => {
    if (ctx.path === '/read') t.is(ctx.session.n, undefined)
    else t.false(Object.hasOwn(ctx.res, 'writeHead'))
    ctx.set('Cache-Control', 'public')
    ctx.body = 'page'
  }
  const { ask } = await serve(t, HTTP1, handler)
  sent.push(await ask('/'), await ask('/read'))
  t.deepEqual(
    sent.map(answer => [answer.header('cache-control'), answer.header('vary'), answer.cookies]),
    [
      [['public'], [], []],
      [['public'], ['Cookie'], []],
    ],
  )
})

test('Two apps with sessions of their own on one response each put on their own', async t => {
  const inner = await serve(
    t,
    HTTP1,
    ctx => {
      ctx.session.n = 2
      ctx.body = 'inner'
    },
    { options: { cookie: { name: 'inner' } } },
  )
  const callback = inner.app.callback()
  const outer = await serve(t, HTTP1, async ctx => {
    ctx.session.n = 1
    await ctx.session.save()
    ctx.respond = false
    await callback(ctx.req, ctx.res)
  })
  const answer = await outer.ask()
  t.is(answer.text, 'inner')
  t.deepEqual(answer.cookies.map(line => line.split('=')[0]).sort(), ['inner', 'sid'])
  t.deepEqual(answer.header('vary'), ['Cookie'])
})

test('A transport that throws fails the request, and does not hide what the handler threw', async t => {
  const told: unknown[] = []
  const mistake = new TypeError('no such header')
  const transport = {
    read: () => undefined,
    write() {
      throw mistake
    },
  }
  const bug = new Error('bug')
  const handler: Handler = ctx => {
    ctx.session.n = 1
    ctx.status = 200
    if (ctx.path === '/throws') throw Object.assign(bug, { status: 401 })
  }
  const { ask, errors } = await serve(t, HTTP1, handler, {
    options: { transport, onError: error => void told.push(error) },
  })
  t.is((await ask('/throws')).status, 401)
  t.deepEqual([errors, told], [[bug], [mistake]])
  t.is((await ask('/')).status, 500)
  t.deepEqual([errors, told], [[bug, mistake], [mistake]])
})

test('A transport that sets cookies by ctx.cookies, signed or not, has each once, whatever others do', async t => {
  const transport: SessionOptions['transport'] = {
    read: req => /(?:^|; )ticket=([\w-]{43})/.exec(req.headers.cookie ?? '')?.[1],
    write: (ctx, id) => void ctx.cookies.set('ticket', id, { signed: true }),
    vary: 'Cookie',
  }
  const outside: Middleware = async (ctx, next) => {
    ctx.cookies.set('before', '1', { signed: false })
    await next().catch(error => {
      if (ctx.path === '/throws') throw error
    })
    ctx.cookies.set('after', '1', { signed: false })
    ctx.status = 200
  }
  const handler: Handler = async ctx => {
    ctx.session.n = 1
    await ctx.session.save()
    await ctx.session.rotateId()
    await ctx.session.rotateId()
    if (ctx.path === '/throws') ctx.throw(401)
  }
  const { ask, app } = await serve(t, HTTP1, handler, { outside: [outside], options: { transport } })
  app.keys = ['a key']
  const names = ({ cookies }: Answer) => cookies.map(line => line.split('=')[0]).sort()
  t.deepEqual(names(await ask('/')), ['after', 'before', 'ticket', 'ticket.sig'])
  t.deepEqual(names(await ask('/throws')), ['ticket', 'ticket.sig'])
})
