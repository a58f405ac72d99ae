import { Browser, Site } from '@koa-session/behaviour'
import test, { type ExecutionContext } from 'ava'
import { memoryStore, type SessionOptions } from 'koa-session-core'

const hour = 3_600_000
const day = 24 * hour
const year = 365 * day

/** Browsers of apps on one backend, and a clock that can be set. */
function world(t: ExecutionContext) {
  const backend = memoryStore()
  const now = Date.now
  let ahead = 0
  Date.now = () => now() + ahead
  t.teardown(() => {
    Date.now = now
  })
  return {
    backend,
    set: (by: number) => {
      ahead = by
    },
    async app(options: SessionOptions = {}): Promise<Site> {
      const site = await Site.start({ store: { ...backend, close: async () => {} }, sweepInterval: 0, ...options })
      t.teardown(() => site.close())
      return site
    },
  }
}

const times = (browser: Browser) => browser.visit(({ session }) => [session.createdAt, session.expiresAt, session.user])

test.serial(
  'a clock that was a year ahead makes no session that lives a year: a request that only reads corrects it',
  async t => {
    const { app, set } = world(t)
    for (const maxAge of ['session', 2 * hour] as const) {
      const site = await app({ maxAge })
      const browser = new Browser(site)
      set(year)
      await browser.visit(({ session }) => void (session.user = 'ann'))
      set(0)
      await browser.visit(({ session }) => session.user)
      const { value } = await times(browser)
      t.is(value[2], 'ann')
      t.true(value[0] <= Date.now(), 'it counts as created now')
      t.true(value[1] <= Date.now() + 2 * hour)
      set(3 * hour)
      t.deepEqual(await browser.data(), {}, 'it ends when it is not used')
    }
  },
)

test.serial('a session that a fast clock made and that is only read ends after absoluteTimeout', async t => {
  const { app, set } = world(t)
  const browser = new Browser(await app())
  set(year)
  await browser.visit(({ session }) => void (session.user = 'ann'))
  let hours = 0
  for (; hours < 60; hours++) {
    set((hours * hour) / 2)
    if ((await browser.data()).user === undefined) break
  }
  t.true(hours > 40 && hours < 55, `it lived ${hours / 2} hours`)
})

test.serial(
  'a session that was used by a fast clock is corrected by the next request that reads or writes',
  async t => {
    const { app, set } = world(t)
    for (const write of [false, true]) {
      const browser = new Browser(await app({ absoluteTimeout: Number.POSITIVE_INFINITY }))
      await browser.visit(({ session }) => void (session.user = 'ann'))
      const id = browser.id as string
      set(hour / 2)
      await browser.visit(({ session }) => void (session.n = 1))
      set(0)
      await browser.visit(({ session }) => {
        if (write) session.n = 2
      })
      t.true((await times(browser)).value[1] <= Date.now() + hour)
      t.is(browser.id, id)
    }
  },
)

test.serial('revokeAll ends sessions that a clock made which was ahead', async t => {
  const { app, set } = world(t)
  const site = await app({ subject: data => (data as { user?: string }).user })
  for (const ahead of [60_000, 2 * hour]) {
    const [unused, rotating] = [new Browser(site), new Browser(site)]
    set(ahead)
    for (const browser of [unused, rotating]) await browser.visit(({ session }) => void (session.user = 'ann'))
    set(0)
    const revoking = site.sessions.revokeAll('ann')
    await rotating.visit(({ session }) => session.rotateId())
    t.is(await revoking, 2)
    t.deepEqual([await unused.data(), await rotating.data()], [{}, {}])
  }
})

test.serial('a clock that was half an hour behind is corrected as well', async t => {
  const { app, set } = world(t)
  const browser = new Browser(await app())
  await browser.visit(({ session }) => void (session.user = 'ann'))
  set(-hour / 2)
  t.is((await browser.data()).user, 'ann')
  set(0)
  t.is((await browser.data()).user, 'ann')
  t.true((await times(browser)).value[1] > Date.now() + hour / 2)
})

test.serial(
  'absoluteTimeout lowered in a deployment binds the sessions that exist, remembered ones by their maxAge',
  async t => {
    const { app, set } = world(t)
    const before = await app({ idleTimeout: day, subject: data => (data as { user?: string }).user })
    const after = await app({
      idleTimeout: hour,
      absoluteTimeout: hour,
      subject: data => (data as { user?: string }).user,
    })
    const [browser, remembered] = [new Browser(before), new Browser(before)]
    await browser.visit(({ session }) => void (session.user = 'ann'))
    await remembered.visit(({ session }) => {
      session.user = 'bob'
      session.maxAge = day
    })
    set(2 * hour)
    t.is((await browser.data(before)).user, 'ann')
    const cookie = browser.cookie
    t.deepEqual(await browser.data(after), {})
    t.is((await remembered.data(after)).user, 'bob')
    const listed = []
    for await (const { data } of after.sessions.list('ann')) listed.push(data)
    t.deepEqual(listed, [])
    const upgrade = { headers: { cookie }, socket: {} } as never
    t.is(await after.sessions.open(upgrade), undefined)
    t.not(await before.sessions.open(upgrade), undefined)
  },
)

test.serial('a session that comes to its absolute limit during a request is not written any more', async t => {
  const { app, set } = world(t)
  const site = await app()
  const browser = new Browser(site)
  await browser.visit(({ session }) => void (session.user = 'ann'))
  const { value } = await browser.visit(async ({ session }) => {
    session.n = 1
    set(25 * hour)
    return [await session.save(), await session.touch(), await session.update(data => void (data.n = 2))]
  })
  t.deepEqual(value, [false, false, false])
  t.deepEqual(await browser.data(), {})
})

test.serial("maxAge = 'session' on a session older than absoluteTimeout begins its term anew", async t => {
  const { app, set } = world(t)
  const site = await app()
  for (const maxAge of ['session', 60_000, hour] as const) {
    for (const how of ['save', 'commit', 'rotateId', 'update'] as const) {
      const browser = new Browser(site)
      set(0)
      await browser.visit(({ session }) => {
        session.user = 'ann'
        session.maxAge = 30 * day
      })
      set(2 * day)
      const { value } = await browser.visit(async ({ session }) => {
        session.maxAge = maxAge
        t.true(session.expiresAt > Date.now())
        if (how === 'save') return session.save()
        if (how === 'rotateId') return session.rotateId()
        if (how === 'update') return session.update(data => void (data.n = 1))
        return true
      })
      t.is(value, true)
      t.is((await browser.data()).user, 'ann', `${maxAge} by ${how}`)
      set(2 * day + 25 * hour)
      t.deepEqual(await browser.data(), {}, 'and ends like any other')
    }
  }
})

test.serial('a shorter maxAge does not lengthen the life of a session that is not over by it', async t => {
  const { app, set } = world(t)
  const browser = new Browser(await app())
  await browser.visit(({ session }) => {
    session.user = 'ann'
    session.maxAge = 30 * day
  })
  const { value } = await times(browser)
  set(hour)
  await browser.visit(({ session }) => void (session.maxAge = 'session'))
  t.is((await times(browser)).value[0], value[0])
})
