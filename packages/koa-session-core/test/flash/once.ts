import { Browser, type Handler, Site } from '@koa-session/behaviour'
import type { ExecutionContext } from 'ava'
import { memoryStore } from 'koa-session-core'
import { test } from '../support/test.js'

type Loses = (nth: number, meanwhile: () => Promise<unknown>) => void

/** Two apps on one backend. The `nth` write of the first takes effect, then `meanwhile` happens, and its reply is lost. */
async function apps(t: ExecutionContext): Promise<{ one: Browser; other: Site; lose: Loses }> {
  const inner = memoryStore()
  let left = 0
  let meanwhile: () => Promise<unknown> = async () => {}
  const write: typeof inner.write = async (...call) => {
    const won = await inner.write(...call)
    if (--left !== 0) return won
    await meanwhile()
    throw new Error('the reply was lost')
  }
  const one = await Site.start({ store: { ...inner, write } })
  const other = await Site.start({ store: { ...inner, close: async () => {} } })
  t.teardown(() => Promise.all([one.close(), other.close()]))
  return {
    one: new Browser(one),
    other,
    lose: (nth, run) => {
      left = nth
      meanwhile = run
    },
  }
}

const take: Handler = ({ flash }) => flash()

/** Actions of another request between the commit and its repetition. Each resolves to the messages that it took. */
const others: Record<string, (browser: Browser, site: Site) => Promise<unknown[]>> = {
  'adds to the queue': async (browser, site) => {
    await browser.send(page => page.flash('other'), { site })
    return []
  },
  takes: async (browser, site) => (await browser.send(take, { site })).value,
  'takes and adds': async (browser, site) => {
    const { value } = await browser.send(take, { site })
    await browser.send(page => page.flash('other'), { site })
    return value
  },
  'adds and takes': async (browser, site) => {
    await browser.send(page => page.flash('other'), { site })
    return (await browser.send(take, { site })).value
  },
  'changes data': async (browser, site) => {
    await browser.send(({ session }) => void (session.n = 1), { site })
    return []
  },
}

const queues: Record<string, Handler> = {
  'a message': page => page.flash('paid'),
  'a message and data': page => {
    page.flash('paid')
    page.session.own = true
  },
  'a message and an awaited save': async page => {
    page.flash('paid')
    await page.session.save()
  },
  'a message, an awaited save and another commit': async page => {
    page.flash('paid')
    await page.session.save()
    page.session.own = true
  },
}

for (const [what, queue] of Object.entries(queues)) {
  for (const [how, act] of Object.entries(others)) {
    test(`${what} is delivered once if the reply of the commit is lost and another request ${how}`, async t => {
      const { one, other, lose } = await apps(t)
      await one.visit(({ session }) => void (session.user = 'ann'))
      let taken: unknown[] = []
      lose(1, async () => {
        taken = await act(one.copy(), other)
      })
      await one.visit(queue)
      const all = [...taken, ...(await one.visit(take)).value, ...(await one.visit(take)).value]
      t.deepEqual(
        all.filter(message => message === 'paid'),
        ['paid'],
      )
      t.is(all.filter(message => message === 'other').length, how.includes('add') ? 1 : 0)
      t.is((await one.data()).user, 'ann')
    })
  }
}

for (const [how, act] of Object.entries(others)) {
  test(`a taken message is delivered once if the reply of the claim is lost and another request ${how}`, async t => {
    const { one, other, lose } = await apps(t)
    await one.visit(page => {
      page.session.user = 'ann'
      page.flash('paid')
    })
    let taken: unknown[] = []
    lose(1, async () => {
      taken = await act(one.copy(), other)
    })
    const first = (await one.visit(take)).value
    const all = [...taken, ...first, ...(await one.visit(take)).value]
    t.deepEqual(
      all.filter(message => message === 'paid'),
      ['paid'],
    )
    t.is(all.filter(message => message === 'other').length, how.includes('add') ? 1 : 0)
  })
}

test('a taken message is delivered once if the reply of the claim is lost and the session gets a new id', async t => {
  const { one, other, lose } = await apps(t)
  await one.visit(page => page.flash('paid'))
  const browser = one.copy()
  lose(1, async () => browser.keep(await browser.send(({ session }) => session.rotateId(), { site: other })))
  t.deepEqual((await one.send(take)).value, ['paid'])
  t.deepEqual((await browser.visit(take)).value, [])
})

test('a message that an early save stored and another request took does not survive regenerate', async t => {
  const { one, other, lose } = await apps(t)
  await one.visit(({ session }) => void (session.n = 1))
  let taken: unknown[] = []
  lose(1, async () => {
    taken = (await one.copy().send(take, { site: other })).value
  })
  await one.visit(async page => {
    page.flash('paid')
    await page.session.save()
    await page.session.regenerate()
    page.session.user = 'ann'
  })
  t.deepEqual([taken, (await one.visit(take)).value], [['paid'], []])
})

test('a session that only remembers taken messages makes no store call for ctx.flash()', async t => {
  const { one } = await apps(t)
  await one.visit(page => page.flash('paid'))
  await one.visit(take)
  one.site.store.calls.length = 0
  t.deepEqual((await one.visit(take)).value, [])
  t.deepEqual(
    one.site.store.calls.map(({ operation }) => operation),
    ['read'],
  )
})

test('a session remembers a bounded number of taken messages, for a minute', async t => {
  const { one } = await apps(t)
  const size = async () => {
    const key = (await one.visit(({ session }) => session.key)).value
    return (await one.site.store.read(key))?.data.length ?? 0
  }
  await one.visit(({ session }) => void (session.n = 0))
  const before = await size()
  for (let n = 0; n < 60; n++) {
    await one.visit(page => [1, 2, 3, 4, 5].forEach(message => page.flash(message)))
    await one.visit(take)
  }
  t.true((await size()) < before + 10_000, `${await size()} characters`)
  const now = Date.now
  t.teardown(() => {
    Date.now = now
  })
  Date.now = () => now() + 61_000
  await one.visit(({ session }) => void (session.n = 1))
  t.is(await size(), before)
})
