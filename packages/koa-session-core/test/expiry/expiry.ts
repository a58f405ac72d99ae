import { createHash } from 'node:crypto'
import type { Browser, Handler, Site } from '@koa-session/behaviour'
import test, { type ExecutionContext } from 'ava'
import type { SessionOptions } from 'koa-session-core'
import { begun, start } from '../support/start.js'

// Every test here sets the clock of this process, so they run one by one.
const clock = Date.now
const began = 1_800_000_000_000
const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

let now = began
test.beforeEach(() => {
  now = began
  Date.now = () => now
})
test.afterEach.always(() => {
  Date.now = clock
})

const signedIn = (t: ExecutionContext, options: SessionOptions = {}, data: object = {}) =>
  begun(t, { touchInterval: 0, ...options }, { user: 'ann', ...data })

/** Whether the session of `browser` is there after `elapsed`. Asking keeps it alive. */
async function lives(browser: Browser, elapsed: number): Promise<boolean> {
  now = began + elapsed
  return (await browser.visit(({ session }) => !session.isNew)).value
}

/** When the stored session of `browser` ends, and when it was seen, since this test began. */
async function stored({ store }: Site, { id = '' }: Browser): Promise<{ ends: number; seen: number } | undefined> {
  const record = await store.read(createHash('sha256').update(id).digest('hex'))
  return record && { ends: record.expiresAt - began, seen: record.seenAt - began }
}

async function endOf(site: Site, browser: Browser): Promise<number | undefined> {
  return (await stored(site, browser))?.ends
}

test.serial('Expired means expiresAt <= now: by default an hour after the last request', async t => {
  for (const elapsed of [hour - 1, hour]) {
    now = began
    const { browser } = await signedIn(t)
    t.is(await lives(browser, elapsed), elapsed < hour)
  }
})

test.serial('expiresAt is min(now + idle, start + absolute): by default an hour and a day', async t => {
  const { site, browser } = await signedIn(t)
  t.is(await endOf(site, browser), hour)
  for (let elapsed = 45 * minute; elapsed < day; elapsed += 45 * minute) {
    t.true(await lives(browser, elapsed))
    t.is(await endOf(site, browser), Math.min(elapsed + hour, day))
  }
  t.true(await lives(browser, day - 1))
  t.false(await lives(browser, day))
})

test.serial('A write moves the end as a touch does', async t => {
  const { site, browser } = await signedIn(t, { touchInterval: minute })
  now += 1
  await browser.visit(({ session }) => {
    session.n = 1
  })
  t.deepEqual(await stored(site, browser), { ends: hour + 1, seen: 1 })
})

test.serial('absoluteTimeout may be Infinity', async t => {
  const { browser } = await signedIn(t, { absoluteTimeout: Number.POSITIVE_INFINITY, idleTimeout: 30 * day })
  for (let elapsed = 29 * day; elapsed < 400 * day; elapsed += 29 * day) t.true(await lives(browser, elapsed))
})

for (const [idleTimeout, interval] of [
  [hour, minute],
  [5 * minute, minute / 2],
  [10 * hour, minute],
] as const) {
  test.serial(`touchInterval is a tenth of idleTimeout, at most 60 s: ${interval} for ${idleTimeout}`, async t => {
    const { site, browser } = await begun(t, { idleTimeout })
    now = began + interval
    await browser.visit(() => {})
    t.deepEqual([site.store.count('touch'), await stored(site, browser)], [0, { ends: idleTimeout, seen: 0 }])
    now += 1
    await browser.visit(() => {})
    t.is(site.store.count('touch'), 1)
    t.deepEqual(await stored(site, browser), { ends: idleTimeout + interval + 1, seen: interval + 1 })
    await browser.visit(() => {})
    t.is(site.store.count('touch'), 1)
  })
}

const remember =
  (maxAge: number): Handler =>
  ({ session }) => {
    session.maxAge = maxAge
  }

test.serial('A maxAge larger than absoluteTimeout is a fixed term', async t => {
  const { site, browser } = await signedIn(t)
  now += minute
  const { cookies } = await browser.visit(remember(30 * day))
  t.regex(`${cookies}`, /; Max-Age=2591940; /, 'what is left of the term')
  t.is(await endOf(site, browser), 30 * day)
  t.true(await lives(browser, 29 * day), 'without a request in between')
  t.is(await endOf(site, browser), 30 * day, 'a request does not move it')
  t.true(await lives(browser, 30 * day - 1))
  t.false(await lives(browser, 30 * day))
})

test.serial('A maxAge within absoluteTimeout replaces idleTimeout and moves with each request', async t => {
  const { site, browser } = await signedIn(t)
  await browser.visit(remember(3 * hour))
  t.true(await lives(browser, 2 * hour))
  t.is(await endOf(site, browser), 5 * hour)
  const { cookies } = await browser.visit(() => {})
  t.deepEqual(cookies, [])
  now += 10 * minute
  t.regex(`${(await browser.visit(() => {})).cookies}`, /; Max-Age=10800; Expires=/, 'the cookie moves along')
  t.true(await lives(browser, 5 * hour))
  for (let elapsed = 7 * hour; elapsed < day; elapsed += 2 * hour) t.true(await lives(browser, elapsed))
  t.is(await endOf(site, browser), day, 'up to absoluteTimeout')
  t.false(await lives(browser, day))
})

test.serial('A maxAge shorter than idleTimeout ends a session earlier', async t => {
  const { browser } = await signedIn(t)
  await browser.visit(remember(minute))
  t.true(await lives(browser, minute - 1))
  t.false(await lives(browser, 2 * minute - 1))
})

test.serial('Requests keep a session with a maxAge shorter than touchInterval alive', async t => {
  const { browser } = await signedIn(t, { touchInterval: minute })
  await browser.visit(remember(minute / 2))
  for (let elapsed = 0; elapsed < 5 * minute; elapsed += minute / 3) t.true(await lives(browser, elapsed))
})

test.serial("maxAge 'session' goes back to idleTimeout and absoluteTimeout", async t => {
  const { site, browser } = await signedIn(t)
  await browser.visit(remember(30 * day))
  await browser.visit(({ session }) => {
    session.maxAge = 'session'
  })
  t.is(await endOf(site, browser), hour)
  t.false(await lives(browser, hour))
})

test.serial('The option maxAge is what new sessions start with', async t => {
  const { site, browser } = await start(t, { maxAge: 2 * day })
  const { cookies } = await browser.visit(({ session }) => {
    session.user = 'ann'
    return session.maxAge
  })
  t.regex(`${cookies}`, /; Max-Age=172800; Expires=/)
  t.is(await endOf(site, browser), 2 * day)
  t.true(await lives(browser, 2 * day - 1))
})

test.serial('Expired: an empty new session under a new id, and the dead cookie is left alone', async t => {
  const { browser } = await signedIn(t)
  const old = browser.id
  now += hour
  const { value, cookies } = await browser.visit(({ session }) => [session.isNew, { ...session }, session.createdAt])
  t.deepEqual([value, cookies], [[true, {}, now], []])
  await browser.visit(({ session }) => {
    session.n = 1
  })
  t.not(browser.id, old)
})

test.serial('A session that expires while its request runs is not written again', async t => {
  const { site, browser } = await signedIn(t)
  const finish = await browser.begin(async ({ session }, pause) => {
    session.late = true
    await pause()
    return session.save()
  })
  now += hour
  const { value, cookies } = await finish()
  t.deepEqual([value, cookies, await stored(site, browser)], [false, [], undefined])
})

for (const how of ['save', 'destroy', 'null', 'regenerate', 'rotateId', 'flash']) {
  test.serial(
    `A request that outlived the idle timeout of a session kept alive by others still has it: ${how}`,
    async t => {
      const { site, browser } = await signedIn(t)
      await browser.visit(page => page.flash('waits'))
      const old = browser.copy()
      const finish = await browser.begin(async (page, pause) => {
        page.session.late = true
        await pause()
        if (how === 'null') page.session = null
        else if (how === 'flash') return page.flash()
        else return page.session[how]()
      })
      for (const elapsed of [40, 80]) t.true(await lives(browser, elapsed * minute))
      const answer = await finish()
      browser.keep(answer)
      if (how === 'flash') t.deepEqual(answer.value, ['waits'])
      const isOver = ['destroy', 'null', 'regenerate'].includes(how)
      t.is((await browser.data()).late, isOver ? undefined : true)
      if (isOver || how === 'rotateId') t.deepEqual(await old.data(), {}, 'the old id is dead')
      t.deepEqual(site.reported, [])
    },
  )
}

test.serial('A tombstone lives for 60 s', async t => {
  for (const elapsed of [minute - 1, minute]) {
    now = began
    const { browser } = await signedIn(t)
    const old = browser.copy()
    await browser.visit(({ session }) => session.rotateId())
    now = began + elapsed
    await old.visit(({ session }) => session.destroy())
    t.is((await browser.data()).user, elapsed < minute ? undefined : 'ann', 'after it nothing leads to the successor')
  }
})

test.serial('regenerate and a change of subject restart the absolute timeout, a plain rotateId does not', async t => {
  const moves: [string, Handler, number][] = [
    ['rotateId', ({ session }) => session.rotateId(), 0],
    [
      'a change of subject',
      ({ session }) => {
        session.user = 'bob'
      },
      minute,
    ],
    [
      'regenerate',
      async page => {
        await page.session.regenerate()
        page.session.user = 'bob'
      },
      minute,
    ],
  ]
  for (const [what, move, restarted] of moves) {
    now = began
    const { browser } = await signedIn(t)
    now += minute
    await browser.visit(move)
    t.is((await browser.visit(({ session }) => session.createdAt)).value - began, restarted, what)
  }
})
