import { once } from 'node:events'
import { request } from 'node:http'
import { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { type Answer, gate, type Handler } from '@koa-session/behaviour'
import type { ExecutionContext } from 'ava'
import { memoryStore } from 'koa-session-core'
import { begun, codes, start } from '../support/start.js'
import { test } from '../support/test.js'

const write: Handler = ({ session }) => {
  session.n = 1
}

const ours = ({ cookies }: Answer): string[] => cookies.filter(cookie => cookie.startsWith('sid='))

test('A cookie is sent when the id is new, and then no more', async t => {
  const { browser } = await start(t)
  t.is(ours(await browser.visit(write)).length, 1)
  for (const handler of [write, () => {}, ({ session }: { session: { n: number } }) => void session.n++]) {
    t.deepEqual((await browser.visit(handler as Handler)).cookies, [])
  }
  for (const moves of [
    ({ session }) => session.rotateId(),
    ({ session }) => {
      session.user = 'ann'
    },
    async page => {
      await page.session.regenerate()
      page.session.n = 1
    },
  ] satisfies Handler[]) {
    t.is(ours(await browser.visit(moves)).length, 1)
  }
})

test('A cookie is sent when maxAge changed, with Max-Age beside Expires', async t => {
  const { browser } = await begun(t)
  const before = Date.now()
  const answer = await browser.visit(({ session }) => {
    session.maxAge = 90_000
  })
  const after = Date.now()
  const [, age = '', expires = ''] = /; Max-Age=(\d+); Expires=([^;]+ GMT)/.exec(`${answer.cookies}`) ?? []
  t.regex(age, /^(89|90)$/)
  // A date in a header has no milliseconds.
  t.true(Date.parse(expires) > before + 89_000 && Date.parse(expires) <= after + 90_000, expires)
  const back = await browser.visit(({ session }) => {
    session.maxAge = 'session'
  })
  t.is(ours(back).length, 1)
  t.notRegex(`${back.cookies}`, /Max-Age|Expires/)
  t.deepEqual(
    (
      await browser.visit(({ session }) => {
        session.maxAge = 'session'
      })
    ).cookies,
    [],
  )
})

test("A cookie is sent when a persistent cookie's expiry moved, also by a touch", async t => {
  const { browser } = await begun(t, { touchInterval: 0, maxAge: 60_000 })
  await setTimeout(1_100)
  t.is(ours(await browser.visit(() => {})).length, 1, 'a touch')
  const second = () => Math.round(Date.now() / 1_000)
  for (;;) {
    const began = second()
    await browser.visit(() => {})
    const { cookies } = await browser.visit(() => {})
    // A busy machine may take longer for two visits.
    if (second() !== began) continue
    t.deepEqual(cookies, [], 'not within the same second')
    break
  }
  await setTimeout(1_100)
  t.is(ours(await browser.visit(write)).length, 1, 'a write')
})

for (const [what, handler] of Object.entries<Handler>({
  'several saves and rotations': async ({ session }) => {
    session.a = 1
    await session.save()
    await session.rotateId()
    await session.rotateId()
    session.maxAge = 60_000
    await session.save()
    session.user = 'ann'
  },
  'destroy and a new session': async page => {
    await page.session.destroy()
    page.session.n = 1
  },
  'null and a new session': page => {
    page.session = null
    page.session.n = 1
  },
  'regenerate, destroy and regenerate': async page => {
    await page.session.regenerate()
    page.session.n = 1
    await page.session.save()
    await page.session.destroy()
    await page.session.regenerate()
    page.session.n = 2
  },
})) {
  test(`Never twice, never a clearing cookie beside a new one: ${what}`, async t => {
    const { browser } = await begun(t)
    const answer = await browser.visit(async (page, pause) => {
      page.cookies.set('other', 'kept')
      await handler(page, pause)
    })
    t.is(ours(answer).length, 1)
    t.notRegex(`${ours(answer)}`, /Max-Age=0/)
    t.is(answer.cookies.length, 2, 'cookies of the app stay')
    t.true(Object.keys(await browser.data()).length > 0)
  })
}

test('destroy after a new session clears only', async t => {
  const { browser } = await begun(t)
  const answer = await browser.visit(async page => {
    await page.session.rotateId()
    page.session = null
  })
  t.deepEqual(answer.cookies.length, 1)
  t.regex(`${answer.cookies}`, /Max-Age=0/)
  t.is(browser.id, undefined)
})

test('Vary when the session was opened, and only then', async t => {
  const { browser } = await begun(t)
  const opens: Handler[] = [
    ({ session }) => session.n,
    page => page.flash(),
    page => page.flash('x'),
    page => {
      page.session = null
    },
  ]
  for (const open of opens) t.is((await browser.send(open)).headers.vary, 'Cookie')
  t.is((await browser.send(() => {})).headers.vary, undefined)
  t.is((await browser.send(page => page.throw(500), { status: 500 })).headers.vary, undefined)
  const own = await browser.send(page => {
    page.set('Vary', 'Accept')
    return page.session.n
  })
  t.is(own.headers.vary, 'Accept, Cookie')
})

test('With a Set-Cookie, Cache-Control becomes no-store unless the app already said private or no-store', async t => {
  const { browser } = await start(t)
  const cases = {
    '': 'no-store',
    'public, max-age=60': 'no-store',
    'max-age=60': 'no-store',
    'no-cache': 'no-store',
    private: 'private',
    'Private, max-age=60': 'Private, max-age=60',
    'no-store': 'no-store',
    'max-age=0, no-store': 'max-age=0, no-store',
  }
  for (const [said, expected] of Object.entries(cases)) {
    for (const awaits of [false, true]) {
      const answer = await browser.send(async page => {
        page.session.n = 1
        if (awaits) await page.session.save()
        if (said) page.set('Cache-Control', said)
      })
      t.is(answer.headers['cache-control'], expected)
    }
  }
  await browser.visit(write)
  const cached = await browser.visit(page => {
    page.session.n = 2
    page.set('Cache-Control', 'public')
  })
  t.is(cached.headers['cache-control'], 'public', 'without a Set-Cookie it is the app’s')
})

test('An error that carries no cookie carries no Cache-Control that was meant for the page', async t => {
  const { browser } = await begun(t)
  const answer = await browser.send(
    page => {
      page.set('Cache-Control', 'public, max-age=600')
      page.session.n = 1
      throw new Error('bug')
    },
    { status: 500 },
  )
  t.is(answer.headers['cache-control'], undefined)
})

test('Headers already sent: an existing session is saved', async t => {
  for (const how of ['write', 'respond']) {
    const { site, browser } = await begun(t)
    await browser.send(page => {
      if (how === 'respond') page.respond = false
      page.res.end('sent')
      page.session.n = 1
    })
    t.deepEqual(await browser.data(), { n: 1 })
    t.deepEqual([site.reported, site.thrown], [[], []])
  }
})

test('Headers already sent: a new session is not created and ERR_SESSION_HEADERS_SENT goes to onError', async t => {
  const { site, store, browser } = await start(t)
  const { status, cookies } = await browser.send(async page => {
    page.status = 200
    page.res.end('sent')
    page.session.n = 1
    await t.throwsAsync(page.session.save(), { code: 'ERR_SESSION_HEADERS_SENT' })
  })
  t.deepEqual([status, cookies], [200, []])
  while (site.reported.length === 0) await setTimeout(5)
  t.deepEqual([codes(site.reported), site.thrown, store.calls], [['ERR_SESSION_HEADERS_SENT'], [], []])
})

test('Headers already sent: a session that has to change its id stays as it is, a sign-out is stored', async t => {
  const { site, browser } = await begun(t, {}, { user: 'ann' })
  await browser.send(async page => {
    page.res.end('sent')
    await t.throwsAsync(page.session.rotateId(), { code: 'ERR_SESSION_HEADERS_SENT' })
    page.session.user = 'bob'
  })
  while (site.reported.length === 0) await setTimeout(5)
  t.deepEqual(codes(site.reported), ['ERR_SESSION_HEADERS_SENT'])
  t.deepEqual(await browser.data(), { user: 'ann' })
  const done = gate()
  await browser.send(async page => {
    page.res.end('sent')
    delete page.session.user
    await page.session.save()
    done.open()
  })
  await done.opened
  t.deepEqual(await browser.data(), {})
})

test('Headers already sent: destroy ends the session', async t => {
  const { browser, store } = await begun(t)
  const done = gate()
  await browser.send(async page => {
    page.res.end('sent')
    await page.session.destroy()
    done.open()
  })
  await done.opened
  t.is(store.count('destroy'), 1)
  t.deepEqual(await browser.data(), {})
})

const ways: Record<string, { handler: Handler; method?: string; status?: number }> = {
  'ctx.respond = false': {
    handler: async page => {
      page.respond = false
      page.status = 200
      page.session.n = 1
      await page.session.save()
      page.res.end('own')
    },
  },
  'a stream': {
    handler: page => {
      page.session.n = 1
      page.body = Readable.from(['a', 'b', 'c'])
    },
  },
  HEAD: { handler: write, method: 'HEAD' },
  'a redirect': {
    handler: page => {
      page.session.n = 1
      page.redirect('/')
    },
    status: 302,
  },
  'no content': {
    handler: page => {
      page.session.n = 1
      page.status = 204
    },
    status: 204,
  },
}

for (const [what, { handler, ...asking }] of Object.entries(ways)) {
  test(`${what}: stored and delivered the same`, async t => {
    const { browser } = await start(t)
    const answer = await browser.visit(handler, { status: 200, ...asking })
    t.is(ours(answer).length, 1)
    t.is(answer.headers['cache-control'], 'no-store')
    t.deepEqual(await browser.data(), { n: 1 })
    await browser.visit(
      (page, pause) => {
        page.session.again = true
        return handler(page, pause)
      },
      { status: 200, ...asking },
    )
    t.deepEqual(await browser.data(), { n: 1, again: true })
  })
}

test('The changes of a request are stored even if its client hung up', async t => {
  const { site, browser, store } = await begun(t)
  const paused = gate()
  const goes = gate()
  const { path } = site.post(async ({ session }) => {
    session.n = 1
    paused.open()
    await goes.opened
  })
  const asking = request({ host: '127.0.0.1', port: site.port, path, headers: { cookie: browser.cookie } })
  const hungUp = once(asking, 'error')
  asking.end()
  await paused.opened
  asking.destroy()
  await hungUp
  await setTimeout(20)
  goes.open()
  while (store.count('write') === 0) await setTimeout(5)
  t.deepEqual(await browser.data(), { n: 1 })
  t.deepEqual([site.reported, site.thrown], [[], []])
})

test('Changes after the commit are kept by save() only', async t => {
  const { browser } = await begun(t)
  for (const saves of [false, true]) {
    const done = gate()
    const answered = gate()
    await browser.send(({ session }) => {
      session.before = true
      answered.opened.then(async () => {
        session.after = true
        if (saves) t.true(await session.save())
        done.open()
      })
    })
    answered.open()
    await done.opened
    t.deepEqual(await browser.data(), { n: 0, before: true, ...(saves && { after: true }) })
  }
})

const persistent = { touchInterval: 0, maxAge: 60_000 }
const renewed = /^sid=[\w-]{43}; Path=\/; Max-Age=60;/

/** Ways to write a response without Koa. */
const ownWays: Record<string, Handler> = {
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

for (const [what, handler] of Object.entries(ownWays)) {
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

/** A request, due for renewal, whose app writes the response itself once `finish` is called. */
async function slowlyAnswered(t: ExecutionContext) {
  const { browser } = await begun(t, persistent)
  await setTimeout(1_100)
  const finish = await browser.copy().begin(
    async (page, pause) => {
      page.respond = false
      await pause()
      page.res.writeHead(200).end('own')
    },
    { status: 200 },
  )
  return { browser, finish }
}

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
    const { browser, finish } = await slowlyAnswered(t)
    await browser.visit(supersede)
    const { cookies } = await finish()
    t.deepEqual(cookies, [])
  })
}

test('A change by others is no reason to renew nothing', async t => {
  const { browser, finish } = await slowlyAnswered(t)
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
  const answer = await browser.send(ownWays['at once'] as Handler, { status: 200 })
  t.deepEqual([answer.body, answer.cookies, answer.headers.vary], ['own', [], undefined])
})
