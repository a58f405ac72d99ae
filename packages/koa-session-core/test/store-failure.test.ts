import { type Around, Browser, type Handler, Site } from '@koa-session/behaviour'
import test, { type ExecutionContext } from 'ava'
import type { Middleware } from 'koa'
import { type Fault, type FaultyStore, faultyStore } from './support/faulty-store.js'
import { codes } from './support/start.js'

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
