import { setTimeout } from 'node:timers/promises'
import { Browser, type Handler, Site } from '@koa-session/behaviour'
import { patient, stopwatch } from '@koa-session/behaviour/patience'
import type { ExecutionContext } from 'ava'
import { memoryStore, type Store } from 'koa-session-core'
import { faultyStore } from '../support/faulty-store.js'
import { begun, codes } from '../support/start.js'
import { test } from '../support/test.js'

const fifty = Array.from({ length: 50 }, (_, n) => n)

const commits: Record<string, (n: number) => Handler> = {
  'set their own key': n => page => void (page.session[`k${n}`] = n),
  'save early': n => async page => {
    page.session[`k${n}`] = n
    assertSaved(await page.session.save())
  },
  update: n => async page => assertSaved(await page.session.update(data => void (data[`k${n}`] = n))),
  'queue a flash': n => page => {
    page.flash(`f${n}`)
    page.session[`k${n}`] = n
  },
}

function assertSaved(saved: boolean): void {
  if (!saved) throw new Error('it was not saved')
}

for (const [what, commit] of Object.entries(commits)) {
  test(`50 parallel requests that ${what} are all saved, where one write takes longer than a fortieth of storeTimeout`, async t => {
    const inner = memoryStore()
    const write: Store['write'] = async (...call) => {
      await setTimeout(300)
      return inner.write(...call)
    }
    const { browser, store } = await begun(t, { store: { ...inner, write }, storeTimeout: 10_000 })
    const wait = (n: number) =>
      browser.begin(async (page, pause) => {
        await pause()
        return commit(n)(page, pause)
      })
    const finishes = await Promise.all(fifty.map(wait))
    const answers = await Promise.all(finishes.map(finish => finish()))
    t.true(answers.every(({ status }) => status === 200))
    t.true(store.count('write') <= 10, `${store.count('write')} writes`)
    t.is(Object.keys(await browser.data()).length, 51)
  })
}

test('increments that are written together are all counted', async t => {
  const inner = memoryStore()
  const write: Store['write'] = async (...call) => {
    await setTimeout(20)
    return inner.write(...call)
  }
  const { browser } = await begun(t, { store: { ...inner, write } })
  await Promise.all(fifty.map(() => browser.send(({ session }) => session.update(data => void data.n++))))
  t.is((await browser.data()).n, 50)
})

test('a commit that cannot be encoded fails alone, and others written with it succeed', async t => {
  const inner = memoryStore()
  const write: Store['write'] = async (...call) => {
    await setTimeout(50)
    return inner.write(...call)
  }
  const { site, browser } = await begun(t, { store: { ...inner, write } })
  const answers = await Promise.all(
    fifty.map(n =>
      browser.send(({ session }) => void (session[`k${n}`] = n % 10 === 3 ? () => {} : n), { anyStatus: true }),
    ),
  )
  t.deepEqual(
    answers.map(({ status }) => status),
    fifty.map(n => (n % 10 === 3 ? 500 : 200)),
  )
  t.deepEqual(codes(site.thrown), Array(5).fill('ERR_SESSION_ENCODE'))
  t.is(Object.keys(await browser.data()).length, 46)
})

test('a rotation, an ending and commits that wait for each other: one order, and nothing comes back', async t => {
  const inner = memoryStore()
  const write: Store['write'] = async (...call) => {
    await setTimeout(5)
    return inner.write(...call)
  }
  const { browser, store } = await begun(t, { store: { ...inner, write } })
  const handlers: Handler[] = [
    ({ session }) => void (session.a = 1),
    ({ session }) => session.rotateId(),
    ({ session }) => void (session.b = 1),
    ({ session }) => session.destroy(),
    ({ session }) => session.update(data => void (data.c = 1)),
  ]
  await Promise.all(handlers.map(handler => browser.send(handler)))
  const keys = new Set(store.calls.map(({ key }) => key))
  const left = (await Promise.all([...keys].map(key => inner.read(key)))).filter(record =>
    record?.data.startsWith('1;'),
  )
  t.deepEqual(left, [])
})

for (const fault of ['hangs', 'never answers', 'is late'] as const) {
  for (const nth of [1, 2]) {
    test(`a timed-out rotation leaves no ghost in the device list: write ${nth} ${fault}`, async t => {
      const store = faultyStore(700)
      const listed = Object.assign(store, { keys: memoryStore().keys })
      const site = await Site.start({ store: listed, storeTimeout: 500 })
      t.teardown(() => site.close())
      const browser = new Browser(site)
      await browser.visit(({ session }) => void (session.user = 'ann'))
      const before = new Set(site.store.calls.map(({ key }) => key))
      store.break(fault, 'write', nth)
      await browser.send(({ session }) => session.rotateId(), { status: 503 })
      await store.calm()
      // Not the record of a revokeAll, which a rotation only reads.
      const writes = site.store.calls.filter(({ operation, key }) => operation === 'write' && !before.has(key))
      const made = [...new Set(writes.map(({ key }) => key))]
      t.is(made.length, 1)
      const watch = stopwatch()
      while ((await store.read(made[0] as string)) && watch() < patient(30_000)) await setTimeout(20)
      await setTimeout(100)
      t.is(await store.read(made[0] as string), undefined, 'the copy is gone')
    })
  }
}

const tombstone = (successor: string, reason: string) => ({
  data: `0;${successor};${reason}`,
  expiresAt: Date.now() + 60_000,
  seenAt: Date.now(),
  version: Math.random().toString(36),
})

async function circle(t: ExecutionContext, reasons: readonly string[]) {
  const { site, store, browser } = await begun(t, { storeTimeout: 20_000 })
  const { value: key } = await browser.visit(({ session }) => session.key)
  const keys = [key, ...reasons.slice(1).map((_, n) => `${n}`.repeat(64))]
  for (const [n, reason] of reasons.entries()) {
    const at = keys[n] as string
    await store.destroy(at)
    await store.write(at, tombstone(keys[(n + 1) % keys.length] as string, reason), null)
  }
  return { site, browser, key }
}

for (const reasons of [
  ['rotation'],
  ['rotation', 'rotation'],
  ['subject', 'login', 'rotation'],
  ['login'],
  ['confirmed', 'login'],
]) {
  test(`tombstones in a circle of ${reasons.join(', ')} do not hold the event loop`, async t => {
    const ends: Handler[] = [
      ({ session }) => session.destroy(),
      page => void (page.session = null),
      async page => {
        await page.session.regenerate()
        page.session.user = 'ann'
      },
      ({ session }) => void (session.user = 'ann'),
    ]
    for (const end of ends) {
      const { browser } = await circle(t, reasons)
      const { status } = await browser.send(end)
      t.is(status, 200)
    }
    const { site, key } = await circle(t, reasons)
    const began = performance.now()
    await site.sessions.revoke(key)
    t.true(performance.now() - began < 10_000)
  })
}
