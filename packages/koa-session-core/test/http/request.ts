import { createHash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { type Handler, watched } from '@koa-session/behaviour'
import { memoryStore, type SessionRecord, type Store } from 'koa-session-core'
import { begun, codes, start } from '../support/start.js'
import { test } from '../support/test.js'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const id = 'A'.repeat(43)
const operations = (store: { calls: { operation: string }[] }) => store.calls.map(({ operation }) => operation)

const write: Handler = ({ session }) => {
  session.n = 1
}

function counting() {
  const counts = { stringify: 0, parse: 0 }
  const codec = {
    stringify: (value: unknown) => (counts.stringify++, JSON.stringify(value)),
    parse: (text: string): unknown => (counts.parse++, JSON.parse(text)),
  }
  return { codec, counts }
}

/** A memory store that holds `data` under the key of `id`. */
async function holding(data: unknown): Promise<Store> {
  const inner = memoryStore()
  const now = Date.now()
  const record: SessionRecord = { data: `${data}`, expiresAt: now + 60_000, seenAt: now, version: 'v' }
  await inner.write(sha256(id), record, null)
  if (typeof data === 'string') return inner
  const foreign = { ...record, data } as SessionRecord
  return { ...inner, read: async (key, call) => (key === sha256(id) ? foreign : inner.read(key, call)) }
}

test('No cookie, or not exactly 43 base64url characters: no store call', async t => {
  const { store, browser } = await start(t)
  const cookies = ['', 'sid=', 'sid', `sid=${id}A`, `sid=${id.slice(1)}`, `sid=${id.slice(1)}=`, `sid=${id.slice(1)}%`]
  for (const cookie of [...cookies, `sid="${id}"`, `sid=${id.slice(1)}\xe9`, `other=${id}`, `Sid=${id}`]) {
    const answer = await browser.send(page => ({ ...page.session }), { headers: { cookie } })
    t.deepEqual([answer.status, answer.value, answer.cookies, store.calls], [200, {}, [], []], cookie)
  }
})

test('A session that is named is read once, under the hash of its id', async t => {
  const { store, browser } = await begun(t)
  t.is((await browser.visit(({ session }) => session.n)).value, 0)
  t.deepEqual(store.calls, [{ operation: 'read', key: sha256(browser.id ?? '') }])
})

test('A request which never opens the session decodes nothing', async t => {
  const { codec, counts } = counting()
  const { browser } = await begun(t, { codec, touchInterval: 0 }, { big: 'x'.repeat(1000) })
  await browser.visit(page => page.flash('waits'))
  // A second later the library looks whether the handler has changed its session since.
  await setTimeout(1_500)
  Object.assign(counts, { stringify: 0, parse: 0 })
  await browser.visit(() => {})
  t.deepEqual(counts, { stringify: 0, parse: 0 }, 'touched, with a flash waiting, and still nothing is decoded')
  await browser.visit(({ session }) => void session.big)
  t.is(counts.parse, 1)
})

test('Unknown: an empty new session under a new id', async t => {
  const { site, browser } = await start(t)
  const headers = { cookie: `sid=${id}` }
  const { value, cookies } = await browser.send(({ session }) => [session.isNew, { ...session }, session.id], {
    headers,
  })
  t.deepEqual(value.slice(0, 2), [true, {}])
  t.not(value[2], id)
  t.deepEqual(cookies, [], 'a dead cookie is left alone')
  await browser.visit(write, { headers })
  t.not(browser.id, id)
  t.regex(browser.id ?? '', /^[\w-]{43}$/)
  t.deepEqual(site.reported, [])
})

for (const [what, data] of Object.entries({
  'a body that is no text of the codec': `1;${Date.now()};session;0\n{"n":`,
  'a body that is no object': `1;${Date.now()};session;0\n[1]`,
  'a header of another format': '9;whatever\n{"n":1}',
  'no header at all': '{"n":1}',
  nothing: '',
  'no data': undefined,
  null: null,
  bytes: Buffer.from('1;1700000000000;session;0\n{"n":1}'),
  'an object': { n: 1 },
  'a queue without its length': '1;1700000000000;session;1\n[]{"n":1}',
  'a queue that is longer than its text': '1;1700000000000;session;1\n99:[]{"n":1}',
  'a queue of a negative length': '1;1700000000000;session;1\n-1:[]{"n":1}',
})) {
  test(`Undecodable: a new session, and ERR_SESSION_DECODE goes to onError: ${what}`, async t => {
    const { site, browser } = await start(t, { store: await holding(data) })
    const headers = { cookie: `sid=${id}` }
    const answer = await browser.send(({ session }) => [session.isNew, { ...session }], { headers })
    t.deepEqual([answer.value, answer.cookies], [[true, {}], []])
    t.deepEqual(codes(site.reported), ['ERR_SESSION_DECODE'])
    await browser.visit(write, { headers })
    t.not(browser.id, id)
    t.deepEqual(await browser.data(), { n: 1 })
    t.deepEqual((await browser.send(page => page.flash(), { headers })).value, [])
    t.deepEqual(site.thrown, [])
  })
}

for (const [what, queue] of Object.entries({
  'no text of the codec': '[[',
  'no list': '{}',
  'a list of other things': '[1]',
  'messages without a mark': '[[1,"Hello"]]',
})) {
  test(`Undecodable messages: a new session, and ERR_SESSION_DECODE goes to onError: ${what}`, async t => {
    const data = `1;${Date.now()};session;1\n${queue.length}:${queue}{"n":1}`
    const handlers: Handler[] = [
      page => page.flash(),
      page => page.flash('Hello'),
      page => {
        page.flash('Hello')
        page.session.n = 2
      },
      async page => [page.session.n, await page.flash(), { ...page.session }],
    ]
    const values: unknown[] = []
    for (const handler of handlers) {
      const { site, browser } = await start(t, { store: await holding(data) })
      const { value } = await browser.visit(handler, { headers: { cookie: `sid=${id}` } })
      values.push(value ?? (await browser.visit(page => page.flash())).value)
      t.deepEqual([codes(site.reported), site.thrown], [['ERR_SESSION_DECODE'], []])
    }
    t.deepEqual(values, [[], ['Hello'], ['Hello'], [1, [], {}]])
    const { browser } = await start(t, { store: await holding(data) })
    const { cookies } = await browser.send(({ session }) => session.regenerate(), { headers: { cookie: `sid=${id}` } })
    t.regex(`${cookies}`, /Max-Age=0/, 'it can be ended')
  })
}

test('A failing read is 503 with Retry-After; requests without a cookie are served meanwhile', async t => {
  const inner = memoryStore()
  let fails = false
  const store: Store = {
    ...inner,
    read: async (...args) => (fails ? Promise.reject(new Error('down')) : inner.read(...args)),
  }
  const { site, browser } = await begun(t, { store })
  fails = true
  const answer = await browser.send(({ session }) => session.n, { status: 503 })
  t.is(answer.headers['retry-after'], '1')
  t.is(answer.body, 'Service Unavailable', 'the message stays inside')
  t.deepEqual(answer.cookies, [])
  t.deepEqual([codes(site.thrown), site.reported], [['ERR_SESSION_STORE'], []])
  t.is((await browser.send(({ session }) => session.isNew, { headers: { cookie: '' } })).value, true)
  fails = false
  t.deepEqual(await browser.data(), { n: 0 })
})

test('A dead cookie is left alone: only destroy, null and a regenerate that stayed empty clear', async t => {
  const { browser } = await start(t)
  const headers = { cookie: `sid=${id}` }
  const leaves: Handler[] = [
    () => {},
    ({ session }) => ({ ...session }),
    ({ session }) => session.save(),
    ({ session }) => session.clear(),
    page => {
      page.session = {}
    },
    page => page.flash(),
    ({ session }) => session.rotateId(),
    ({ session }) => session.update(() => {}),
  ]
  for (const leave of leaves) t.deepEqual((await browser.send(leave, { headers })).cookies, [])
  const clears: Handler[] = [
    ({ session }) => session.destroy(),
    ({ session }) => session.regenerate(),
    page => {
      page.session = null
    },
  ]
  for (const clear of clears) {
    const { cookies } = await browser.send(clear, { headers })
    t.is(cookies.length, 1)
    t.regex(`${cookies}`, /^sid=; Path=\/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT;/)
    t.deepEqual((await browser.send(clear, { headers: { cookie: '' } })).cookies, [], 'nothing to clear')
  }
})

test('store.touch starts beside the handler and is awaited at the end', async t => {
  const { store, browser } = await begun(t, { touchInterval: 0 })
  await setTimeout(3)
  const touch = store.hold('touch')
  let ran = false
  let answered = false
  const answer = browser.send(() => void (ran = true)).then(() => void (answered = true))
  await touch.reached
  await setTimeout(20)
  t.deepEqual([ran, answered], [true, false])
  touch.release()
  await answer
  t.deepEqual(operations(store), ['read', 'touch'])
})

test('seenAt younger than touchInterval: no touch', async t => {
  const { store, browser } = await begun(t, { touchInterval: 60_000 })
  await setTimeout(3)
  await browser.visit(() => {})
  t.deepEqual(operations(store), ['read'])
})

test('A failing touch goes to onError, not to the user', async t => {
  const store: Store = { ...memoryStore(), touch: async () => Promise.reject(new Error('down')) }
  const { site, browser } = await begun(t, { store, touchInterval: 0 })
  await setTimeout(3)
  t.deepEqual(await browser.data(), { n: 0 })
  t.deepEqual([codes(site.reported), site.thrown], [['ERR_SESSION_STORE'], []])
})

test('The commit comes before Koa sends the response', async t => {
  const { store, browser } = await begun(t)
  const writing = store.hold('write')
  let answered = false
  const answer = browser.send(write).then(() => void (answered = true))
  await writing.reached
  await setTimeout(20)
  t.false(answered)
  writing.release()
  await answer
  t.deepEqual(await browser.data(), { n: 1 })
})

test('Unchanged: no write', async t => {
  const { store, browser } = await begun(t, {}, { a: 1, b: { c: [1] } })
  const handlers: Handler[] = [
    ({ session }) => void session.b.c,
    page => {
      page.session = { b: { c: [1] }, a: 1 }
    },
    ({ session }) => {
      session.b.c.push(2)
      session.b.c.pop()
      delete session.a
      session.a = 1
    },
    ({ session }) => session.save(),
    ({ session }) => session.update(() => {}),
  ]
  for (const handler of handlers) await browser.visit(handler)
  t.deepEqual(new Set(operations(store)), new Set(['read']))
})

test('Empty and new: nothing stored, no cookie', async t => {
  const { store, browser } = await start(t)
  const handlers: Handler[] = [
    ({ session }) => session.id,
    ({ session }) => {
      session.n = 1
      delete session.n
    },
    ({ session }) => {
      session.maxAge = 60_000
    },
    ({ session }) => session.save(),
    async ({ session }) => session.regenerate(),
    page => page.flash(),
  ]
  for (const handler of handlers) t.deepEqual((await browser.visit(handler)).cookies, [])
  t.deepEqual(store.calls, [])
})

test('Ending writes an expired record at the version last seen and then destroys; regenerate leaves a tombstone', async t => {
  const { store, browser } = await begun(t)
  await browser.copy().visit(({ session }) => session.destroy())
  t.deepEqual(operations(store), ['read', 'write', 'destroy'])
  const other = await begun(t)
  await other.browser.visit(({ session }) => session.regenerate())
  t.deepEqual(operations(other.store), ['read', 'write'])
})

test('Commits of one session in one process queue up and are written together, each on top of the one before it', async t => {
  const { store, browser } = await begun(t)
  const setter =
    (n: number): Handler =>
    async ({ session }, pause) => {
      session[`k${n}`] = n
      await pause()
    }
  const finishes = await Promise.all(Array.from({ length: 20 }, (_, n) => browser.begin(setter(n))))
  t.is(store.count('read'), 20)
  await Promise.all(finishes.map(finish => finish()))
  t.is(store.count('read'), 20, 'none reads again')
  t.true(store.count('write') < 10, 'those that wait share a write')
  t.is(Object.keys(await browser.data()).length, 21)
})

test('Commits behind an ending are handed that the session is gone', async t => {
  const { store, browser } = await begun(t)
  const ending = await browser.begin(async ({ session }, pause) => {
    session.n = 1
    await pause()
    await session.destroy()
  })
  const writing = await Promise.all(
    Array.from({ length: 5 }, () =>
      browser.begin(async ({ session }, pause) => {
        session.late = true
        await pause()
        t.false(await session.save())
      }),
    ),
  )
  store.calls.length = 0
  const destroying = store.hold('write')
  const answers = [ending()]
  await destroying.reached
  answers.push(...writing.map(finish => finish()))
  await setTimeout(20)
  destroying.release()
  await Promise.all(answers)
  t.deepEqual(operations(store), ['write', 'destroy'])
})

test('After an error the next commit reads', async t => {
  const inner = memoryStore()
  let failures = 0
  const failing: Store = {
    ...inner,
    write: async (...args) => (failures-- > 0 ? Promise.reject(new Error('down')) : inner.write(...args)),
  }
  const store = watched(failing)
  const { browser } = await begun(t, { store })
  const finishes = []
  for (let n = 0; n < 2; n++) {
    const set: Handler = async ({ session }, pause) => {
      session[`k${n}`] = n
      await pause()
    }
    finishes.push(await browser.begin(set, { status: n === 0 ? 503 : 200 }))
  }
  store.calls.length = 0
  failures = 2
  await Promise.all(finishes.map(finish => finish()))
  const [settled, second] = [
    ['write', 'read', 'write', 'read'],
    ['read', 'write'],
  ]
  t.deepEqual(operations(store), [...settled, ...second], 'the first tried twice and looked what came of it')
  t.deepEqual(await browser.data(), { n: 0, k1: 1 })
})
