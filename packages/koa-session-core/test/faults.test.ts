import { setTimeout } from 'node:timers/promises'
import { type Answer, Browser, type Handler, type Operation, Site } from '@koa-session/behaviour'
import { fewAtOnce } from '@koa-session/behaviour/few-at-once'
import { patient, timed } from '@koa-session/behaviour/patience'
import test from 'ava'
import { type Fault, type FaultyStore, faultyStore } from './support/faulty-store.js'
import { codes } from './support/start.js'

/** The most a request may take beyond `storeTimeout`, in milliseconds. */
const grace = patient(500)
/** More than that, so that a request that waits twice is found out. */
const storeTimeout = patient(700)

interface Request {
  readonly handler: Handler
  /** The state before. Without it, the browser is new. */
  readonly before?: object
  /** Throws unless what an answer of 200 promised is so. */
  done(t: { is(actual: unknown, expected: unknown, why?: string): unknown }, browser: Browser, answer: Answer): unknown
}

const n = async (browser: Browser) => (await browser.data()).n
const message = async (browser: Browser) => `${(await browser.visit(page => page.flash())).value}`

const requests: Record<string, Request> = {
  'a new session': {
    handler: ({ session }) => {
      session.n = 1
    },
    done: async (t, browser) => t.is(await n(browser), 1),
  },
  'a change': {
    before: { n: 0 },
    handler: ({ session }) => {
      session.n = 1
    },
    done: async (t, browser) => t.is(await n(browser), 1),
  },
  'an awaited save': {
    before: { n: 0 },
    handler: async ({ session }) => {
      session.n = 1
      return session.save()
    },
    done: async (t, browser, { value }) => {
      t.is(value, true)
      t.is(await n(browser), 1)
    },
  },
  'a save that is not awaited': {
    before: { n: 0 },
    handler: ({ session }) => {
      session.n = 1
      session.save()
    },
    done: async (t, browser) => t.is(await n(browser), 1),
  },
  'an update': {
    before: { n: 0 },
    handler: ({ session }) => session.update(data => void data.n++),
    done: async (t, browser) => t.is(await n(browser), 1),
  },
  'a rotation': {
    before: { n: 1 },
    handler: ({ session }) => session.rotateId(),
    done: async (t, browser) => t.is(await n(browser), 1),
  },
  'a sign-in': {
    before: { n: 1 },
    handler: ({ session }) => {
      session.user = 'ann'
    },
    done: async (t, browser) => {
      t.is((await browser.data()).user, 'ann')
      t.is(await n(browser), 1)
    },
  },
  'a sign-in by regenerate': {
    before: { n: 1 },
    handler: async page => {
      await page.session.regenerate()
      page.session.user = 'ann'
    },
    done: async (t, browser) => {
      t.is((await browser.data()).user, 'ann')
      t.is(await n(browser), undefined)
    },
  },
  'a flash': {
    before: { n: 1 },
    handler: page => page.flash('Hello'),
    done: async (t, browser) => t.is(await message(browser), 'Hello'),
  },
  'taking a flash': {
    before: { flash: 'Hello' },
    handler: page => page.flash(),
    done: async (t, browser, { value }) => {
      t.is(`${value}`, 'Hello')
      t.is(await message(browser), '')
    },
  },
  'an awaited destroy': {
    before: { n: 1 },
    handler: ({ session }) => session.destroy(),
    done: async (t, browser) => t.is(await n(browser), undefined),
  },
  'a destroy that is not awaited': {
    before: { n: 1 },
    handler: ({ session }) => void session.destroy(),
    done: async (t, browser) => t.is(await n(browser), undefined),
  },
  '= null': {
    before: { n: 1 },
    handler: page => {
      page.session = null
    },
    done: async (t, browser) => t.is(await n(browser), undefined),
  },
  'only reading': {
    before: { n: 1 },
    handler: ({ session }) => session.n,
    done: async (t, browser, { value }) => {
      t.is(value, 1)
      t.is(await n(browser), 1)
    },
  },
}

const ends = new Set(['an awaited destroy', 'a destroy that is not awaited', '= null'])
/** If the answer to one of these is lost, the session may go on under an id that no client was told. */
const moves = new Set(['a rotation', 'a sign-in', 'a sign-in by regenerate'])

async function opened(t: { teardown(close: () => unknown): void }, before?: object) {
  const store = faultyStore(storeTimeout + 200)
  const site = await Site.start({ store, storeTimeout, touchInterval: 0 })
  t.teardown(() => site.close())
  const browser = new Browser(site)
  if (before) {
    await browser.visit(page => {
      const { flash, ...data } = before as { flash?: string }
      page.session = data
      if (flash) page.flash(flash)
    })
    await setTimeout(3)
  }
  return { store, site, browser }
}

/** The request meets the fault, then the store is healed. */
async function meet(
  t: Parameters<Request['done']>[0] & { true(is: boolean, why: string): unknown; teardown(close: () => unknown): void },
  name: string,
  breaks: (store: FaultyStore) => void,
  expected?: number,
): Promise<void> {
  const { handler, before, done } = requests[name] as Request
  const { store, site, browser } = await opened(t, before)
  const old = browser.copy()
  breaks(store)
  const asking = timed(() => browser.visit(handler, { anyStatus: true }))
  const stranger = await new Browser(site).send(({ session }) => session.isNew)
  t.is(stranger.value, true, 'a request without a cookie is served')
  const { result: answer, took } = await asking
  t.true(took < storeTimeout + grace, `the request ended after ${took} ms`)
  const { broken } = store
  const tookEffect = store.mayHaveApplied
  store.heal()
  t.true([200, 503].includes(answer.status), `status ${answer.status}`)
  if (answer.status === 503) {
    t.is(answer.headers['retry-after'], '1')
    t.true(broken > 0, 'what is not broken does not fail')
  }
  if (expected) t.is(answer.status, expected)
  if (answer.status === 200) await done(t, browser, answer)
  else if (ends.has(name)) {
    // A client that still has the cookie can retry; one without it has been signed out.
    if (browser.id) await browser.visit(({ session }) => session.destroy())
    t.is(await n(old), undefined)
  } else if (!tookEffect && before && 'n' in before && !name.includes('regenerate')) {
    t.true((await n(browser)) !== undefined, 'nothing is lost')
  }
  await browser.visit(({ session }) => {
    session.next = true
    if (moves.has(name) && tookEffect) session.user = 'next'
  })
  await store.calm()
  t.is((await browser.data()).next, true)
  if (ends.has(name)) t.is(await n(old), undefined)
}

const operations: Operation[] = ['read', 'write', 'touch', 'destroy']
const faults: Fault[] = ['rejects', 'throws', 'hangs', 'never answers', 'loses its reply', 'is late']

// All at once would keep the processor, not the store, from answering in time.
const few = fewAtOnce(3)

for (const fault of faults) {
  for (const operation of operations) {
    test(`every request ends in time, and no 200 hides a lost change: ${operation} ${fault}`, async t => {
      const cases = Object.keys(requests).flatMap(name => [undefined, 1, 2].map(nth => ({ name, nth })))
      await few(() =>
        Promise.all(cases.map(({ name, nth }) => meet(t, name, store => store.break(fault, operation, nth)))),
      )
    })
  }
}

test.serial('A lost reply is settled by reading: the stored version being ours means saved', async t => {
  const settled = Object.keys(requests)
  await Promise.all(settled.map(name => meet(t, name, store => store.break('loses its reply', 'write'), 200)))
})

test.serial('A write that failed once is tried again', async t => {
  await Promise.all(Object.keys(requests).map(name => meet(t, name, store => store.break('rejects', 'write', 1), 200)))
})

test.serial('A failing touch goes to onError, not to the user', async t => {
  for (const fault of faults.filter(one => one !== 'hangs')) {
    const { store, site, browser } = await opened(t, { n: 1 })
    store.break(fault, 'touch')
    t.is(await n(browser), 1)
    const expected = fault === 'is late' || fault === 'never answers' ? 'ERR_SESSION_TIMEOUT' : 'ERR_SESSION_STORE'
    t.deepEqual([codes(site.reported), site.thrown], [[expected], []], fault)
  }
})

for (const operation of ['read', 'write'] as const) {
  test.serial(`100 parallel requests do not queue up behind each other when ${operation} hangs`, async t => {
    const { store, browser } = await opened(t, { n: 0 })
    store.break('hangs', operation)
    const write: Handler = ({ session }) => void session.n++
    const all = await Promise.all(Array.from({ length: 100 }, () => timed(() => browser.send(write, { status: 503 }))))
    const longest = Math.max(...all.map(({ took }) => took))
    t.true(longest < storeTimeout + 2 * grace, `the last ended after ${longest} ms`)
    store.heal()
    const next = await timed(() => browser.visit(write))
    t.true(next.took < storeTimeout + grace, 'the next request waits for none of them')
    t.is(await n(browser), 1)
  })
}

test.serial('A rotation that failed leaves no copy behind', async t => {
  const { store, site, browser } = await opened(t, { user: 'ann' })
  let writes = 0
  const { write } = store
  store.write = (...args) => (++writes > 1 ? Promise.reject(new Error('down')) : write(...args))
  await browser.visit(({ session }) => session.rotateId(), { status: 503 })
  const keys = new Set(site.store.calls.filter(({ operation }) => operation === 'write').map(({ key }) => key))
  const records = await Promise.all([...keys].map(key => store.read(key)))
  t.deepEqual([keys.size, records.filter(Boolean).length], [2, 1])
  t.is((await browser.data()).user, 'ann')
})

test.serial('The wait in the queue is part of storeTimeout', async t => {
  const { store, browser } = await opened(t, { n: 0 })
  store.break('hangs', 'write')
  const first = timed(() =>
    browser.send(
      ({ session }) => {
        session.a = 1
        session.save()
      },
      { status: 503 },
    ),
  )
  await setTimeout(storeTimeout * 0.25)
  const second = timed(() =>
    browser.send(
      ({ session }) => {
        session.b = 1
      },
      { status: 503 },
    ),
  )
  t.true((await first).took < storeTimeout * 1.5)
  t.true((await second).took < storeTimeout * 1.5)
})

test.serial('Races that never end are ERR_SESSION_CONFLICT within storeTimeout', async t => {
  const store = { ...faultyStore(0), write: async () => false }
  const site = await Site.start({ store, storeTimeout })
  t.teardown(() => site.close())
  const { took } = await timed(() =>
    new Browser(site).send(
      ({ session }) => {
        session.n = 1
      },
      { status: 503 },
    ),
  )
  t.true(took < storeTimeout + grace)
  t.deepEqual(codes(site.thrown), ['ERR_SESSION_CONFLICT'])
})
