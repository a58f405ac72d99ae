import { once } from 'node:events'
import { request } from 'node:http'
import { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { type Answer, gate, type Handler } from '@koa-session/behaviour'
import test from 'ava'
import { begun, codes, start } from './support/start.js'

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
