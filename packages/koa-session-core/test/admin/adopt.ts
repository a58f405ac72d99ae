import { once } from 'node:events'
import http from 'node:http'
import { setTimeout } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { type Adopted, memoryStore, type SessionOptions, type Store, session } from 'koa-session-core'
import { type Ctx, gate, site, watched } from '../support/app.js'
import { client as browserAt } from '../support/client.js'
import { test } from '../support/test.js'

const later = new Date(Date.now() + 86_400_000)

/** What the library before kept, by the value of its cookie, and how often it was asked. */
function before(records: Record<string, object> = { ada: { user: 'Ada', cart: ['tea'] } }) {
  const old = {
    asked: 0,
    records: new Map(Object.entries(records)),
    wait: undefined as (() => Promise<void>) | undefined,
    async from(ctx: { cookies: { get(name: string): string | undefined } }): Promise<Adopted | undefined> {
      old.asked++
      const credential = ctx.cookies.get('old')
      const data = credential === undefined ? undefined : old.records.get(credential)
      await old.wait?.()
      return credential !== undefined && data ? { credential: `secret of ${credential}`, data } : undefined
    },
  }
  return old
}

const handlers = {
  '/': (ctx: Ctx) => ({ ...ctx.session }),
  '/idle': () => 'idle',
  '/id': (ctx: Ctx) => ctx.session.id,
  '/sign-out': (ctx: Ctx) => {
    ctx.session = null
  },
  '/sign-in': async (ctx: Ctx) => {
    await ctx.session.regenerate()
    ctx.session.user = 'Eve'
  },
  '/rotate': (ctx: Ctx) => ctx.session.rotateId(),
  '/add': async (ctx: Ctx) => {
    ctx.session[String(ctx.query.name)] = true
    await setTimeout(10)
  },
  '/fail': (ctx: Ctx) => {
    ctx.session.lost = true
    throw new Error('failed')
  },
  '/own': (ctx: Ctx) => {
    ctx.respond = false
    ctx.res.end(JSON.stringify(ctx.session))
  },
}

type Old = ReturnType<typeof before>

const switched = (t: ExecutionContext, old: Old, options: SessionOptions = {}) =>
  site(t, handlers, { ...options, adopt: { from: ctx => old.from(ctx), until: later } })

/** A browser that still has the cookie of the library before. */
function returning(url: string, credential = 'ada') {
  return browserAt(url, new Map([['old', credential]]))
}

test('a visitor of the library before goes on with the same data, under an id of ours, and is asked for once', async t => {
  const old = before()
  const store = watched(memoryStore())
  const { url } = await switched(t, old, { store })
  const browser = returning(url)
  const first = await browser.get('/')
  t.deepEqual(first.json, { user: 'Ada', cart: ['tea'] })
  t.regex(first.cookies.join(), /^sid=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/)
  t.is(first.headers.get('cache-control'), 'no-store')
  const second = await browser.get('/')
  t.deepEqual([second.json, second.cookies], [first.json, []])
  t.is(old.asked, 1)
  t.true(old.records.has('ada'), 'a rollback finds the old record')
})

test('a request that does not open the session gets the id too', async t => {
  const { url } = await switched(t, before())
  const browser = returning(url)
  t.is((await browser.get('/idle')).cookies.length, 1)
  t.true(browser.jar.has('sid'))
})

test('a visitor without anything costs no store call and gets no cookie', async t => {
  const old = before()
  const store = watched(memoryStore())
  const { url } = await switched(t, old, { store })
  const reply = await browserAt(url).get('/')
  t.deepEqual([reply.json, reply.cookies, store.calls, old.asked], [{}, [], [], 1])
})

test('parallel requests, in two processes, end in one session, and keep what each of them wrote', async t => {
  const old = before()
  const store = memoryStore()
  const sites = [await switched(t, old, { store }), await switched(t, old, { store })]
  const names = Array.from({ length: 20 }, (_, index) => `k${index}`)
  const browsers = names.map((_, index) => returning(sites[index % 2]?.url as string))
  await Promise.all(names.map((name, index) => browsers[index]?.get(`/add?name=${name}`)))
  const ids = new Set(browsers.map(({ jar }) => jar.get('sid')))
  t.is(ids.size, 1)
  const { json } = (await browsers[0]?.get('/')) as { json: object }
  t.deepEqual(Object.keys(json).sort(), ['cart', 'user', ...names].sort())
})

test('a lost response loses nothing: the old cookie leads to the session as it is by then', async t => {
  const { url } = await switched(t, before())
  const one = returning(url)
  await one.get('/add?name=more')
  const other = returning(url)
  t.deepEqual((await other.get('/')).json, { user: 'Ada', cart: ['tea'], more: true })
  t.is(other.jar.get('sid'), one.jar.get('sid'))
})

for (const path of ['/sign-out', '/sign-in', '/rotate'] as const) {
  test(`after ${path.slice(1)} the old cookie is worth nothing any more`, async t => {
    const { url } = await switched(t, before())
    const browser = returning(url)
    await browser.get('/')
    await browser.get(path)
    const left = returning(url)
    const reply = await left.get('/')
    t.deepEqual([reply.json, reply.cookies], [{}, []])
  })

  test(`the same where ${path.slice(1)} is the first request`, async t => {
    const { url } = await switched(t, before())
    await returning(url).get(path)
    const reply = await returning(url).get('/')
    t.deepEqual([reply.json, reply.cookies], [{}, []])
  })
}

test('a slow request does not undo a sign-out: taken over and signed out meanwhile, the session stays dead', async t => {
  const old = before()
  const store = watched(memoryStore())
  const { url } = await switched(t, old, { store })
  // Stopped where the old record has been read, or where the new one is being written.
  for (const at of ['from', 'write'] as const) {
    old.records.set(at, { user: at })
    const { promise, open } = gate()
    const reached = gate()
    if (at === 'from') {
      old.wait = () => {
        old.wait = undefined
        reached.open()
        return promise
      }
    } else {
      store.before = operation => {
        if (operation !== 'write') return undefined
        store.before = undefined
        reached.open()
        return promise
      }
    }
    const slow = returning(url, at).get('/')
    await reached.promise
    const browser = returning(url, at)
    t.deepEqual((await browser.get('/')).json, { user: at })
    await browser.get('/sign-out')
    open()
    const reply = await slow
    t.deepEqual([reply.json, reply.cookies], [{}, []], at)
    const again = await returning(url, at).get('/')
    t.deepEqual([again.json, again.cookies], [{}, []], at)
  }
})

test('a late request under an id that a login replaced does not bring back the session before', async t => {
  const old = before()
  const { url } = await switched(t, old)
  const browser = browserAt(url)
  await browser.get('/add?name=x')
  const late = browser.fork()
  late.jar.set('old', 'ada')
  await browser.get('/sign-in')
  const reply = await late.get('/')
  t.deepEqual([reply.json, reply.cookies, old.asked], [{}, [], 1])
})

for (const way of ['/sign-in', '/rotate']) {
  test(`a late request with the old cookie alone does not replace the session of ${way}, and a sign-out ends it`, async t => {
    const { url, errors } = await switched(t, before())
    await returning(url).get('/idle')
    const browser = returning(url)
    await browser.get(way)
    const late = await returning(url).get('/add?name=late')
    t.deepEqual([late.status, late.cookies], [204, []])
    t.deepEqual((await returning(url).get('/')).json, {})
    t.truthy((await browser.get('/')).json.user)
    await returning(url).get('/sign-out')
    t.deepEqual((await browser.get('/')).json, {})
    t.deepEqual(errors, [])
  })
}

test('a cookie of ours that is dead does not keep the old session from being taken over', async t => {
  const { url } = await switched(t, before())
  const browser = returning(url)
  browser.jar.set('sid', 'a'.repeat(43))
  t.deepEqual((await browser.get('/')).json, { user: 'Ada', cart: ['tea'] })
  t.not(browser.jar.get('sid'), 'a'.repeat(43))
})

test('a handler that fails keeps the session: the old data, and an id for it', async t => {
  const { url } = await switched(t, before())
  const browser = returning(url)
  t.is((await browser.get('/fail')).status, 500)
  t.deepEqual((await browser.get('/')).json, { user: 'Ada', cart: ['tea'] })
})

test('a handler that writes the response itself delivers the id, and an upgrade keeps the session for the next request', async t => {
  const { url, app } = await switched(t, before({ ada: { user: 'Ada', cart: ['tea'] }, eve: { user: 'Eve' } }))
  const browser = returning(url)
  t.is((await browser.get('/own')).cookies.length, 1)
  t.deepEqual((await browser.get('/')).json, { user: 'Ada', cart: ['tea'] })
  const server = http.createServer()
  server.on('upgrade', async (req, socket) => {
    await app.callback()(req, new http.ServerResponse(req))
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const upgrade = http.get({
    port,
    path: '/add?name=socket',
    headers: { connection: 'upgrade', upgrade: 'websocket', cookie: 'old=eve' },
  })
  await Promise.race([once(upgrade, 'upgrade'), once(upgrade, 'response')])
  upgrade.destroy()
  t.deepEqual((await returning(url, 'eve').get('/')).json, { user: 'Eve', socket: true })
})

test('a cross-site request without our cookie takes nothing over: SameSite may have kept it back', async t => {
  const old = before()
  const { url } = await switched(t, old)
  const headers = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' }
  const reply = await returning(url).get('/', { headers })
  t.deepEqual([reply.json, reply.cookies, old.asked], [{}, [], 0])
})

test('from is not asked after until, nor while our session lives', async t => {
  const old = before()
  const { url } = await site(t, handlers, { adopt: { from: ctx => old.from(ctx), until: new Date(Date.now() - 1) } })
  const reply = await returning(url).get('/')
  t.deepEqual([reply.json, old.asked], [{}, 0])
})

test('a session that expired since it was taken over does not begin again', async t => {
  const { url } = await switched(t, before(), { idleTimeout: 2_000, touchInterval: 0 })
  await returning(url).get('/add?name=x')
  await setTimeout(2_100)
  t.deepEqual((await returning(url).get('/')).json, {})
})

test('maxAge of the old session goes on, and its subject is listed and counted', async t => {
  const old = { ...before() }
  const sessions: SessionOptions = {
    subject: data => (data as { user?: string }).user,
    maxSessionsPerSubject: 1,
    adopt: {
      until: later,
      from: async ctx => {
        const found = await old.from(ctx as never)
        return found && { ...found, maxAge: 3_600_000 }
      },
    },
  }
  const running = await site(t, handlers, sessions)
  old.records.set('other', { user: 'Ada' })
  const browser = returning(running.url)
  t.regex((await browser.get('/')).cookies.join(), /Max-Age=3600;/)
  await returning(running.url, 'other').get('/')
  const listed: unknown[] = []
  for await (const { data } of running.sessions.list('Ada')) listed.push(data)
  t.deepEqual(listed, [{ user: 'Ada' }])
  t.deepEqual((await browser.get('/')).json, {})
})

for (const storeFailure of ['reject', 'anonymous'] as const) {
  test(`a failure of from does not sign the visitor out (${storeFailure})`, async t => {
    const old = before()
    const { url, errors } = await switched(t, old, { storeFailure })
    old.wait = () => Promise.reject(new Error('the old store is away'))
    const browser = returning(url)
    const failed = await browser.get('/add?name=x')
    t.deepEqual([failed.status, failed.cookies], [storeFailure === 'reject' ? 503 : 204, []])
    t.is((await browser.get('/idle')).status, 200)
    t.true(errors.some(({ code, message }) => code === 'ERR_SESSION_STORE' && /adopt.*is away/.test(message)))
    old.wait = undefined
    t.deepEqual((await browser.get('/')).json, { user: 'Ada', cart: ['tea'] })
  })
}

test('from has storeTimeout to answer', async t => {
  const old = before()
  const { url, errors } = await switched(t, old, { storeTimeout: 200 })
  old.wait = () => new Promise(() => {})
  t.is((await returning(url).get('/')).status, 503)
  t.deepEqual(
    errors.map(({ code }) => code),
    ['ERR_SESSION_TIMEOUT'],
  )
})

test('whichever call of the store fails, or loses its answer, the visitor can try again', async t => {
  for (const when of ['before', 'after'] as const) {
    for (let nth = 1; nth <= 4; nth++) {
      const store = watched(memoryStore())
      const { url } = await switched(t, before(), { store })
      let count = 0
      store[when] = () => {
        if (++count >= nth) throw new Error('out of order')
      }
      const browser = returning(url)
      await browser.get('/')
      store[when] = undefined
      t.deepEqual((await browser.get('/')).json, { user: 'Ada', cart: ['tea'] }, `${when} call ${nth}`)
    }
  }
})

test('records of ours show neither credential nor id', async t => {
  const inner = memoryStore()
  const texts: string[] = []
  const store: Store = {
    ...inner,
    write(key, record, ...rest) {
      texts.push(key, JSON.stringify(record))
      return inner.write(key, record, ...rest)
    },
  }
  const { url } = await switched(t, before(), { store })
  const browser = returning(url)
  await browser.get('/')
  const all = texts.join('\n')
  t.false(all.includes('secret of'))
  t.false(all.includes(browser.jar.get('sid') as string))
})

test('answers of from that are wrong are a TypeError that names what would be right, and never shows a value', async t => {
  const wrong: [answer: unknown, message: RegExp][] = [
    [{ data: {} }, /adopt: from must return credential, a non-empty string, got undefined/],
    [{ credential: '', data: {} }, /a non-empty string/],
    [{ credential: 'secret', data: 'secret' }, /adopt: from must return data, an object, got a string/],
    [{ credential: 'secret', data: ['secret'] }, /an object, got an array/],
    [{ credential: 'secret', data: Promise.resolve({}) }, /an object, got a Promise, which must be awaited first/],
    [{ credential: 'secret', data: {}, maxAge: -1 }, /adopt: maxAge must be 'session' or/],
    [
      { credential: 'secret', data: { id: 'secret' } },
      /adopt: from returned data with the key id, which is a member of every session; rename it in from/,
    ],
    ['secret', /credential/],
  ]
  for (const [answer, message] of wrong) {
    const { url, errors } = await site(t, handlers, { adopt: { from: () => answer as never, until: later } })
    t.is((await browserAt(url).get('/')).status, 500)
    t.true(errors[0] instanceof TypeError)
    t.regex(String(errors[0]?.message), message)
    t.notRegex(String(errors[0]?.message), /secret/)
  }
})

test('a wrong option adopt is a TypeError at once', t => {
  const from = () => undefined
  const wrong: [adopt: unknown, message: RegExp][] = [
    [{ from }, /adopt\.until must be a valid Date/],
    [{ from, until: '2027-01-01' }, /adopt\.until must be a valid Date/],
    [{ from, until: new Date('never') }, /adopt\.until must be a valid Date/],
    [{ until: later }, /adopt\.from must be a function/],
    [{ from, until: later, store: 1 }, /adopt\.store is unknown/],
    [from, /adopt takes an object/],
  ]
  for (const [adopt, message] of wrong) t.throws(() => session({ adopt } as never), { instanceOf: TypeError, message })
})
