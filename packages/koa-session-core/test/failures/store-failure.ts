import { setTimeout, setTimeout as sleep } from 'node:timers/promises'
import { type Around, Browser, type Handler, Site } from '@koa-session/behaviour'
import type { ExecutionContext } from 'ava'
import Koa, { type Middleware } from 'koa'
import { isSessionError, memoryStore, type SessionRecord, type StoreCall, session } from 'koa-session-core'
import { throwIfAborted, untilAborted } from 'koa-session-core/store'
import request from 'supertest'
import { type Fault, type FaultyStore, faultyStore } from '../support/faulty-store.js'
import { codes } from '../support/start.js'
import { test } from '../support/test.js'

const storeTimeout = 300

async function anonymous(t: ExecutionContext, fault: Fault = 'rejects', nth?: number) {
  const store = faultyStore(storeTimeout + 100)
  const site = await Site.start({ store, storeTimeout, storeFailure: 'anonymous' })
  t.teardown(() => site.close())
  const browser = new Browser(site)
  await browser.visit(page => {
    page.session = { user: 'ann', n: 1 }
    page.flash('waits')
  })
  store.break(fault, 'read', nth)
  site.store.calls.length = 0
  return { store, site, browser }
}

/** The session is as it was before the fault. */
async function asBefore(t: ExecutionContext, store: FaultyStore, browser: Browser): Promise<void> {
  store.heal()
  t.deepEqual(await browser.data(), { user: 'ann', n: 1 })
}

for (const [fault, code] of [
  ['rejects', 'ERR_SESSION_STORE'],
  ['throws', 'ERR_SESSION_STORE'],
  ['hangs', 'ERR_SESSION_TIMEOUT'],
  ['is late', 'ERR_SESSION_TIMEOUT'],
] as const) {
  test(`A failing read serves the request with an empty session, and goes to onError: a read that ${fault}`, async t => {
    const { store, site, browser } = await anonymous(t, fault)
    const handler: Handler = async page => [page.session.isNew, { ...page.session }, await page.flash()]
    const { value, cookies } = await browser.visit(handler)
    t.deepEqual([value, cookies], [[true, {}, []], []])
    t.deepEqual([codes(site.reported), site.thrown], [[code], []])
    await asBefore(t, store, browser)
  })
}

const changes: Record<string, Handler> = {
  'a change': ({ session }) => {
    session.n = 2
  },
  'an awaited save': async ({ session }) => {
    session.n = 2
    return session.save()
  },
  'an update': ({ session }) =>
    session.update(data => {
      data.n = 2
    }),
  'a flash': page => page.flash('lost'),
  'a replacement': page => {
    page.session = { n: 2 }
  },
  'a change of maxAge': ({ session }) => {
    session.n = 2
    session.maxAge = 60_000
  },
}

for (const [what, change] of Object.entries(changes)) {
  test(`What the request writes is not kept, which goes to onError, and no cookie is set: ${what}`, async t => {
    const { store, site, browser } = await anonymous(t)
    const { value, cookies } = await browser.visit(change)
    t.deepEqual(cookies, [])
    t.not(value, true)
    const [read, ...dropped] = codes(site.reported)
    t.is(read, 'ERR_SESSION_STORE')
    t.deepEqual([...new Set(dropped)], ['ERR_SESSION_STORE'], 'what was not kept')
    t.deepEqual([site.store.count('write'), site.store.count('touch')], [0, 0])
    await asBefore(t, store, browser)
    t.deepEqual((await browser.visit(page => page.flash())).value, ['waits'])
  })
}

const signIns: Record<string, Handler> = {
  'a change of subject': ({ session }) => {
    session.user = 'bob'
  },
  'a change of subject by update': ({ session }) =>
    session.update(data => {
      data.user = 'bob'
    }),
  'a change of subject and save': async ({ session }) => {
    session.user = 'bob'
    await session.save()
  },
  rotateId: ({ session }) => session.rotateId(),
}

for (const [what, signIn] of Object.entries(signIns)) {
  test(`A change of subject is still 503: ${what}`, async t => {
    const { store, site, browser } = await anonymous(t)
    const { cookies, headers } = await browser.visit(signIn, { status: 503 })
    t.deepEqual([cookies, headers['retry-after']], [[], '1'])
    t.is(site.store.count('write'), 0)
    await asBefore(t, store, browser)
  })
}

const endings: Record<string, Handler> = {
  destroy: ({ session }) => session.destroy(),
  'destroy without await': ({ session }) => void session.destroy(),
  null: page => {
    page.session = null
  },
  regenerate: ({ session }) => session.regenerate(),
}

for (const [what, end] of Object.entries(endings)) {
  test(`${what} tries the store, and is 503 if it fails`, async t => {
    const { store, site, browser } = await anonymous(t)
    const { cookies } = await browser.visit(end, { status: 503 })
    t.true(site.store.count('read') > 1, 'it was tried')
    t.deepEqual(cookies, [], 'the session lives, so its cookie stays')
    await asBefore(t, store, browser)
  })

  test(`${what} tries the store, and ends the session if that works`, async t => {
    const { store, browser } = await anonymous(t, 'rejects', 1)
    const old = browser.copy()
    const { cookies } = await browser.visit(end)
    t.regex(`${cookies}`, /Max-Age=0/)
    store.heal()
    t.deepEqual(await old.data(), {})
  })
}

test('regenerate tries the store, and what is written after it is a new session', async t => {
  const { store, browser } = await anonymous(t, 'rejects', 1)
  const old = browser.copy()
  await browser.visit(async page => {
    page.flash('Welcome')
    await page.session.regenerate()
    page.session.user = 'bob'
  })
  store.heal()
  t.deepEqual(await browser.data(), { user: 'bob' })
  t.deepEqual((await browser.visit(page => page.flash())).value, ['Welcome'])
  t.deepEqual(await old.data(), {})
})

test('A failing write is 503 also with anonymous', async t => {
  const { store, browser } = await anonymous(t)
  store.break('rejects', 'write')
  await browser.visit(changes['a change'] as Handler, { status: 503 })
  await asBefore(t, store, browser)
})

/** A store whose reads fail, by default options, and a browser that has a session with a flash message. */
async function rejecting(t: ExecutionContext, fault: Fault = 'rejects', around: Around = {}) {
  const store = faultyStore(storeTimeout + 100)
  const site = await Site.start({ store, storeTimeout }, around)
  t.teardown(() => site.close())
  const browser = new Browser(site)
  await browser.visit(page => {
    page.session = { user: 'ann', n: 1 }
    page.flash('waits')
  })
  store.break(fault, 'read')
  site.store.calls.length = 0
  return { store, site, browser }
}

const uses: Record<string, Handler> = {
  'reading the session': ({ session }) => session.n,
  'looking at its type': page => typeof page.session,
  'assigning an object': page => {
    page.session = { n: 2 }
  },
  'assigning null': page => {
    page.session = null
  },
  'queuing a message': page => page.flash('Hello'),
  'queuing a message of a type': page => page.flash('info', 'Hello'),
  'taking the messages': page => page.flash(),
  'taking the messages without await': page => void page.flash(),
}

for (const [what, use] of Object.entries(uses)) {
  test(`By default a failing read is 503 for a handler that uses the session: ${what}`, async t => {
    const { store, site, browser } = await rejecting(t)
    const { cookies, headers, body } = await browser.visit(use, { status: 503 })
    t.deepEqual([cookies, headers['retry-after'], body], [[], '1', 'Service Unavailable'])
    t.deepEqual([codes(site.thrown), site.reported], [['ERR_SESSION_STORE'], []])
    t.is(site.store.calls.length, 1)
    await asBefore(t, store, browser)
    t.deepEqual((await browser.visit(page => page.flash())).value, ['waits'])
  })
}

for (const [fault, code] of [
  ['rejects', 'ERR_SESSION_STORE'],
  ['throws', 'ERR_SESSION_STORE'],
  ['hangs', 'ERR_SESSION_TIMEOUT'],
] as const) {
  test(`By default a handler that uses no session answers, and the failing read goes to onError once: a read that ${fault}`, async t => {
    const { store, site, browser } = await rejecting(t, fault)
    const { value, cookies, headers } = await browser.visit(page => [
      'session' in page,
      'flash' in page,
      Object.keys(page).includes('session'),
      typeof page.flash,
    ])
    t.deepEqual([value, cookies], [[true, true, true, 'function'], []])
    t.is(headers.vary, undefined)
    t.deepEqual([codes(site.reported), site.thrown], [[code], []])
    t.is(site.store.calls.length, 1)
    await asBefore(t, store, browser)
  })
}

test('By default a flash of the app in place of ours is no use of the session', async t => {
  const { browser } = await rejecting(t)
  const { value } = await browser.visit(page => {
    page.flash = () => Promise.resolve(['mine'])
    return page.flash()
  })
  t.deepEqual(value, ['mine'])
})

test('By default the failing read goes to onError beside an error of a handler that uses no session', async t => {
  const { site, browser } = await rejecting(t)
  await browser.visit(page => page.throw(418, 'teapot'), { status: 418 })
  t.deepEqual(codes(site.reported), ['ERR_SESSION_STORE'])
  await browser.visit(
    () => {
      throw new Error('mine')
    },
    { status: 500 },
  )
  t.deepEqual(codes(site.reported), ['ERR_SESSION_STORE', 'ERR_SESSION_STORE'])
})

test('By default a handler that catches the error meets it again at each use, and may answer by itself', async t => {
  const { store, site, browser } = await rejecting(t)
  const { value, cookies } = await browser.visit(page => {
    const errors = Object.values(uses).map(use => {
      try {
        void use(page, async () => {})
        return undefined
      } catch (error) {
        return error
      }
    })
    return [codes(errors), new Set(errors).size]
  })
  t.deepEqual(value, [Object.keys(uses).map(() => 'ERR_SESSION_STORE'), 1])
  t.deepEqual([cookies, site.reported, site.thrown], [[], [], []])
  t.is(site.store.calls.length, 1, 'nothing was ended')
  await asBefore(t, store, browser)
})

test('By default a middleware that uses the session before the handler is 503 as well', async t => {
  const inside: Middleware = (ctx, next) => {
    ctx.state.n = (ctx.session as { n?: number }).n
    return next()
  }
  const { browser } = await rejecting(t, 'rejects', { inside })
  let ran = false
  await browser.visit(() => void (ran = true), { status: 503 })
  t.false(ran)
})

test('By default a request with no cookie, or none that is an id, needs no store', async t => {
  const { site, browser } = await rejecting(t)
  for (const cookie of ['', 'sid=x']) {
    t.deepEqual((await browser.send(({ session }) => ({ ...session }), { headers: { cookie } })).value, {})
  }
  t.deepEqual(site.store.calls, [])
})

declare module 'koa-session-core' {
  interface SessionData {
    n?: number
  }
}

/** An app on a store that, once it is full, takes no record but one that ends a session. */
function site() {
  const store = memoryStore()
  const full = { isFull: false }
  const app = new Koa()
  app.on('error', () => {})
  app.use(
    session({
      store: {
        ...store,
        async write(key: string, record: SessionRecord, expected: string | null) {
          if (full.isFull && record.expiresAt > Date.now())
            throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
          return store.write(key, record, expected)
        },
      },
    }),
  )
  app.use(async ctx => {
    if (ctx.path === '/in') ctx.session.n = 1
    if (ctx.path === '/regenerate') await ctx.session.regenerate()
    if (ctx.path === '/destroy') await ctx.session.destroy()
    if (ctx.path === '/null') ctx.session = null
    if (ctx.path === '/logout') {
      await ctx.session.destroy()
      ctx.flash('See you')
    }
    if (ctx.path === '/again') {
      await ctx.session.regenerate()
      ctx.session.n = 2
    }
    ctx.body = String(ctx.session.n)
  })
  return { full, browser: request(app.callback()) }
}

for (const path of ['/regenerate', '/destroy', '/null', '/logout', '/again']) {
  test(`${path} ends the session in a store that is full`, async t => {
    const { full, browser } = site()
    const first = await browser.get('/in')
    const cookie = String(first.get('Set-Cookie')?.[0]?.split(';')[0])
    t.is((await browser.get('/').set('Cookie', cookie)).text, '1')
    full.isFull = true
    const answer = await browser.get(path).set('Cookie', cookie)
    // A new session needs room.
    t.is(answer.status, path === '/again' ? 503 : 200)
    if (path !== '/again') t.regex(String(answer.get('Set-Cookie')), /^sid=; .*Max-Age=0/)
    full.isFull = false
    t.is((await browser.get('/').set('Cookie', cookie)).text, 'undefined')
  })
}

/** A call that its test aborts, as the core gives it. */
async function silentCall(): Promise<{ call: StoreCall; ended: Promise<unknown> }> {
  let given: StoreCall | undefined
  const read = (_key: string, call?: StoreCall): Promise<undefined> => {
    given = call
    return new Promise(() => {})
  }
  const sessions = session({ store: { ...memoryStore(), read }, storeTimeout: 200 })
  const req = { headers: { cookie: `sid=${'a'.repeat(43)}` }, socket: {} } as never
  const ended = sessions.open(req).then(
    () => undefined,
    error => error,
  )
  await setTimeout(1)
  return { call: given as StoreCall, ended }
}

test('a call that is not answered in time tells every listener of it once, and signal has the same reason', async t => {
  const { call, ended } = await silentCall()
  const heard: unknown[] = []
  call.onAbort?.(reason => heard.push(reason))
  call.onAbort?.(reason => heard.push(reason))
  call.onAbort?.(() => heard.push('taken off'))()
  const { signal } = call
  t.is(call.signal, signal)
  t.false(signal?.aborted)
  t.notThrows(() => throwIfAborted(call))
  const error = await ended
  t.true(isSessionError(error) && error.code === 'ERR_SESSION_TIMEOUT')
  t.deepEqual(heard, [error, error])
  t.is(signal?.reason, error)
  call.onAbort?.(reason => heard.push(reason))
  t.is(heard.length, 3, 'an aborted call tells at once')
  t.true(call.signal?.aborted)
})

test('untilAborted and throwIfAborted take a call, a bare signal, or nothing', async t => {
  const reason = new Error('enough')
  const controller = new AbortController()
  const own = await silentCall()
  const hanging = () => new Promise<never>(() => {})
  const waiting = [own.call, { signal: controller.signal }, controller.signal].map(call => untilAborted(call, hanging))
  for (const call of [own.call, { signal: controller.signal }, controller.signal, {}, undefined]) {
    t.is(await untilAborted(call, async () => 1), 1)
    await t.throwsAsync(
      untilAborted(call, async () => {
        throw reason
      }),
      { is: reason },
    )
  }
  controller.abort(reason)
  const error = await own.ended
  const outcomes = await Promise.allSettled(waiting)
  t.deepEqual(
    outcomes.map(outcome => outcome.status === 'rejected' && outcome.reason),
    [error, reason, reason],
  )
  const never = () => t.fail('a call that is aborted already begins nothing') as never
  await t.throwsAsync(untilAborted(own.call, never), { is: error as Error })
  await t.throwsAsync(untilAborted({ signal: controller.signal }, never), { is: reason })
  t.throws(() => throwIfAborted(own.call), { is: error as Error })
  t.throws(() => throwIfAborted({ signal: controller.signal }), { is: reason })
})

/** A store that needs 40 steps of 75 ms for what is long work. */
function slowStore(step: (call?: StoreCall) => void) {
  async function work(call?: StoreCall) {
    for (let n = 0; n < 40; n++) {
      step(call)
      await sleep(75)
    }
  }
  return {
    ...memoryStore(),
    async sweep(call?: StoreCall) {
      await work(call)
      return 40
    },
    async *keys(call?: StoreCall) {
      await work(call)
      yield '0'.repeat(64)
    },
  }
}

const open = (step: (call?: StoreCall) => void) =>
  session({ store: slowStore(step), storeTimeout: 2_000, subject: () => undefined })

test('a sweep and a listing may take longer than storeTimeout while the store goes on step by step', async t => {
  const sessions = open(call => call?.signal?.throwIfAborted())
  t.is(await sessions.sweep(), 40)
  for await (const one of sessions.list('ada')) t.fail(one.key)
})

test('a sweep and a listing that take longer without a step time out', async t => {
  const sessions = open(() => {})
  await t.throwsAsync(sessions.sweep(), { code: 'ERR_SESSION_TIMEOUT' })
  await t.throwsAsync(sessions.list('ada')[Symbol.asyncIterator]().next(), { code: 'ERR_SESSION_TIMEOUT' })
})
