import { setTimeout } from 'node:timers/promises'
import { gate, type Handler } from '@koa-session/behaviour'
import test from 'ava'
import { memoryStore } from 'koa-session-core'
import { begun, codes, start } from './support/start.js'

const persistent = { touchInterval: 0, maxAge: 60_000 }
const renewed = /^sid=[\w-]{43}; Path=\/; Max-Age=60;/

/** Ways to write a response without Koa. */
const ways: Record<string, Handler> = {
  'at once': page => {
    page.respond = false
    page.res.statusCode = 200
    page.res.end('own')
  },
  'at once, by writeHead': page => {
    page.respond = false
    page.res.writeHead(200, { 'Content-Type': 'text/plain', 'Set-Cookie': 'own=1' }).end('own')
  },
  'a moment later, awaited': async page => {
    page.respond = false
    await setTimeout(5)
    page.res.writeHead(200).end('own')
  },
  'a moment later, awaited, with the session opened': async page => {
    page.respond = false
    await setTimeout(5)
    page.res.setHeader('X-N', String(page.session.n))
    page.res.writeHead(200).end('own')
  },
  'later, after touch()': async page => {
    page.respond = false
    await setTimeout(3_200)
    await page.session.touch()
    page.res.writeHead(200).end('own')
  },
  'later, after save() of a change': async page => {
    page.respond = false
    await setTimeout(3_200)
    page.session.n++
    await page.session.save()
    page.res.writeHead(200).end('own')
  },
  'later than the handler': page => {
    page.respond = false
    globalThis.setTimeout(() => page.res.writeHead(200).end('own'), 50)
  },
}

for (const [what, handler] of Object.entries(ways)) {
  test(`With ctx.respond = false a persistent cookie is renewed: ${what}`, async t => {
    const { site, browser } = await begun(t, persistent)
    await setTimeout(1_100)
    const answer = await browser.visit(handler, { status: 200 })
    t.is(answer.body, 'own')
    const ours = answer.cookies.filter(line => line.startsWith('sid='))
    t.is(ours.length, 1)
    t.regex(ours[0] as string, renewed)
    t.is(answer.headers['cache-control'], 'no-store')
    t.deepEqual(Object.keys(await browser.data()), ['n'])
    t.deepEqual([site.reported, site.thrown], [[], []])
  })
}

test('A response that the app writes long after the session was read renews nothing', async t => {
  const { browser, store } = await begun(t, persistent)
  const answer = await browser.visit(
    async page => {
      page.respond = false
      await setTimeout(3_200)
      page.res.writeHead(200).end('own')
    },
    { status: 200 },
  )
  t.deepEqual([answer.cookies, answer.headers['cache-control']], [[], undefined])
  t.deepEqual(await browser.data(), { n: 0 })
  t.true(store.count('touch') > 0, 'the session goes on')
})

for (const [what, supersede] of Object.entries<Handler>({
  'a login': async page => {
    await page.session.regenerate()
    page.session.user = 'ann'
  },
  'a change of the subject': ({ session }) => {
    session.user = 'ann'
  },
  rotateId: async ({ session }) => {
    await session.rotateId()
  },
  'a logout': ({ session }) => session.destroy(),
  'ctx.session = null': page => {
    page.session = null
  },
})) {
  test(`A response that the app writes itself does not bring back the id that ${what} in parallel superseded`, async t => {
    const { browser } = await begun(t, persistent)
    await setTimeout(1_100)
    const slow = browser.copy()
    const finish = await slow.begin(
      async (page, pause) => {
        page.respond = false
        await pause()
        page.res.writeHead(200).end('own')
      },
      { status: 200 },
    )
    await browser.visit(supersede)
    const { cookies } = await finish()
    t.deepEqual(cookies, [])
  })
}

test('A change by others is no reason to renew nothing', async t => {
  const { browser } = await begun(t, persistent)
  await setTimeout(1_100)
  const slow = browser.copy()
  const finish = await slow.begin(
    async (page, pause) => {
      page.respond = false
      await pause()
      page.res.writeHead(200).end('own')
    },
    { status: 200 },
  )
  await browser.visit(({ session }) => {
    session.n = 2
  })
  t.regex(`${(await finish()).cookies}`, renewed)
})

for (const [what, handler] of Object.entries<Handler>({
  'save()': ({ session }) => session.save(),
  'update()': ({ session }) => session.update(data => void data.n++),
  'rotateId()': ({ session }) => session.rotateId(),
  'the commit': () => {},
})) {
  for (const isNew of [true, false]) {
    if (!isNew && what !== 'rotateId()') continue
    const kind = isNew ? 'a new session' : 'a session'
    test(`Headers that leave while ${what} of ${kind} is being stored: it does not stay, and the app hears of it`, async t => {
      const inner = memoryStore()
      const { site, store, browser } = await (isNew ? start(t, { store: inner }) : begun(t, { store: inner }))
      const held = store.hold('write')
      const over = gate()
      const answer = await browser.send(
        async page => {
          page.respond = false
          page.session.n = 1
          held.reached.then(() => {
            page.res.end('own')
            held.release()
          })
          if (what === 'the commit') return over.open()
          await t.throwsAsync(handler(page, async () => {}) as Promise<unknown>, { code: 'ERR_SESSION_HEADERS_SENT' })
          over.open()
        },
        { anyStatus: true },
      )
      await over.opened
      t.deepEqual(answer.cookies, [])
      if (what === 'the commit') {
        while (site.reported.length === 0) await setTimeout(5)
        t.deepEqual(codes(site.reported), ['ERR_SESSION_HEADERS_SENT'])
      }
      const keys = new Set(store.calls.flatMap(({ operation, key }) => (operation === 'write' ? [key] : [])))
      t.true(keys.size > 0)
      for (const key of keys) {
        const left = await inner.read(key)
        t.false(left?.data.includes('"n"') ?? false, 'nothing is left but a tombstone')
      }
    })
  }
}

test('A term that save() announced too early takes its Cache-Control along', async t => {
  const { browser } = await begun(t, persistent)
  await setTimeout(1_100)
  for (const own of [undefined, 'public, max-age=60']) {
    const slow = browser.copy()
    const finish = await slow.begin(async (page, pause) => {
      if (own) page.set('Cache-Control', own)
      page.session.n = 2
      await page.session.save()
      await pause()
    })
    await browser.copy().visit(({ session }) => session.touch())
    await browser.copy().visit(({ session }) => session.destroy())
    const { cookies, headers } = await finish()
    t.deepEqual([cookies, headers['cache-control']], [[], own])
    await browser.visit(({ session }) => {
      session.n = 0
    })
    await setTimeout(1_100)
  }
})

test('A handler that writes the response itself works on a memory store without a session', async t => {
  const { browser } = await start(t, { ...persistent, store: memoryStore() })
  const answer = await browser.send(ways['at once'] as Handler, { status: 200 })
  t.deepEqual([answer.body, answer.cookies, answer.headers.vary], ['own', [], undefined])
})
