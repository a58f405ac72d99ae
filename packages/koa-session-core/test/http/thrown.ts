import { type Answer, type Browser, gate, type Handler } from '@koa-session/behaviour'
import type { Middleware } from 'koa'
import { memoryStore, type Store } from 'koa-session-core'
import { begun, codes, start } from '../support/start.js'
import { test } from '../support/test.js'

const idOf = ({ cookies }: Answer): string | undefined => /^sid=([\w-]{43});/m.exec(cookies.join('\n'))?.[1]

async function dataOf(browser: Browser, answer: Answer): Promise<unknown> {
  const copy = browser.copy()
  copy.keep(answer)
  return copy.data()
}

const answering: Record<string, Handler> = {
  'ctx.throw(401)': page => page.throw(401),
  'ctx.throw(404)': page => page.throw(404, 'nothing here', { expose: true }),
  'an error with a status': () => {
    throw Object.assign(new Error('no'), { status: 422 })
  },
  'an error with a statusCode': () => {
    throw Object.assign(new Error('no'), { statusCode: 409 })
  },
}

for (const [what, fail] of Object.entries(answering)) {
  test(`A handler that throws an HTTP error below 500 commits as usual: ${what}`, async t => {
    const { site, browser } = await start(t)
    const answer = await browser.send((page, pause) => {
      page.session.n = 1
      page.flash('Sorry')
      return fail(page, pause)
    })
    t.true(answer.status >= 400 && answer.status < 500)
    t.truthy(idOf(answer), 'Set-Cookie reaches the client')
    t.is(answer.headers.vary, 'Cookie')
    t.is(answer.headers['cache-control'], 'no-store')
    t.deepEqual(await dataOf(browser, answer), { n: 1 })
    t.is(site.thrown.length, 1)
    t.deepEqual(site.reported, [])
  })
}

const failing: Record<string, Handler> = {
  'an Error': () => {
    throw new Error('bug')
  },
  'ctx.throw(500)': page => page.throw(500),
  'ctx.throw(503)': page => page.throw(503),
  'a string': () => {
    throw 'bug'
  },
  'a rejection': () => Promise.reject(new TypeError('bug')),
}

for (const [what, fail] of Object.entries(failing)) {
  test(`Any other error is a failure, and only awaited operations stand: ${what}`, async t => {
    const { store, browser } = await begun(t)
    const answer = await browser.send(
      (page, pause) => {
        page.session.n = 1
        page.flash('late')
        return fail(page, pause)
      },
      { status: what === 'ctx.throw(503)' ? 503 : 500 },
    )
    t.deepEqual(answer.cookies, [])
    t.is(store.count('write'), 0)
    t.deepEqual(await browser.data(), { n: 0 })
  })
}

test('A handler that fails with a new session stores nothing and sets no cookie', async t => {
  const { store, browser } = await start(t)
  const handler: Handler = ({ session }) => {
    session.n = 1
    throw new Error('bug')
  }
  const { cookies, headers } = await browser.send(handler, { status: 500 })
  t.deepEqual([cookies, store.calls, headers['cache-control']], [[], [], undefined])
  t.is(headers.vary, 'Cookie', 'what the page said depended on the cookie')
})

const awaited: Record<string, Handler> = {
  save: async ({ session }) => {
    session.n = 1
    await session.save()
    session.lost = true
  },
  update: async ({ session }) => {
    await session.update(data => {
      data.n = 1
    })
    session.lost = true
  },
  rotateId: async ({ session }) => {
    session.n = 1
    await session.rotateId()
    session.lost = true
  },
  'regenerate and save': async page => {
    await page.session.regenerate()
    page.session.n = 1
    await page.session.save()
    page.session.lost = true
  },
}

for (const [what, run] of Object.entries(awaited)) {
  test(`An awaited operation stands, and its cookie reaches the client with the 500: ${what}`, async t => {
    for (const isNew of [true, false]) {
      const { browser } = await (isNew ? start(t) : begun(t))
      const answer = await browser.send(
        async (page, pause) => {
          await run(page, pause)
          throw new Error('bug')
        },
        { status: 500 },
      )
      const expectsCookie = isNew || what.startsWith('r')
      t.is(idOf(answer) !== undefined, expectsCookie)
      t.is(answer.headers['cache-control'], expectsCookie ? 'no-store' : undefined)
      t.is(answer.headers.vary, 'Cookie')
      t.deepEqual(await dataOf(browser, answer), { n: 1 })
    }
  })
}

for (const [what, leave] of Object.entries<Handler>({
  'a pending = null': page => {
    page.session = null
  },
  'an awaited destroy': ({ session }) => session.destroy(),
  'a destroy that was not awaited': ({ session }) => void session.destroy(),
  'an awaited regenerate': ({ session }) => session.regenerate(),
})) {
  for (const status of [500, 401]) {
    test(`${what} is carried out even when the handler fails with ${status}, and the cookie is cleared`, async t => {
      const { browser } = await begun(t)
      const answer = await browser.send(
        async (page, pause) => {
          await leave(page, pause)
          page.throw(status)
        },
        { status },
      )
      t.regex(`${answer.cookies}`, /^sid=; Path=\/; Max-Age=0;/)
      t.is(answer.headers['cache-control'], 'no-store')
      t.deepEqual(await browser.data(), {}, 'the id is dead')
    })
  }
}

test("The app sees the handler's error", async t => {
  const { site, browser } = await begun(t)
  const errors = [
    new Error('bug'),
    Object.assign(new Error('no'), { status: 401 }),
    Object.assign(new Error('own headers'), { headers: { 'WWW-Authenticate': 'Basic' }, status: 401 }),
  ]
  for (const error of errors) {
    await browser.visit(
      async ({ session }) => {
        await session.rotateId()
        throw error
      },
      { status: 'status' in error ? 401 : 500 },
    )
    t.is(site.thrown.pop(), error)
  }
})

test('Headers that the app put on an error are sent beside those of the session', async t => {
  const { browser } = await start(t)
  const headers = { 'WWW-Authenticate': 'Basic', 'set-cookie': ['own=1'], 'cache-control': 'private' }
  const error = Object.assign(new Error('no'), { status: 401, headers })
  const answer = await browser.send(({ session }) => {
    session.n = 1
    throw error
  })
  t.is(answer.headers['www-authenticate'], 'Basic')
  t.is(answer.headers['cache-control'], 'private')
  t.is(answer.cookies.length, 2)
  t.true(answer.cookies.includes('own=1'))
  t.truthy(idOf(answer))
})

test('Cookies that the app set are not sent with a failed page, as in Koa without sessions', async t => {
  const { browser } = await start(t)
  const answer = await browser.send(async page => {
    page.cookies.set('own', '1')
    page.session.n = 1
    page.throw(401)
  })
  t.is(answer.cookies.length, 1)
  t.truthy(idOf(answer))
})

test('One error object thrown for two users never carries the cookie of one to the other', async t => {
  const { browser } = await start(t)
  const headers = { 'WWW-Authenticate': 'Basic' }
  for (const shared of [
    Object.assign(new Error('no'), { status: 401 }),
    Object.assign(new Error('no'), { status: 401, headers }),
    Object.preventExtensions(Object.assign(new Error('no'), { status: 401, headers })),
  ]) {
    const user: Handler = async ({ session }, pause) => {
      session.n = 1
      await pause()
      throw shared
    }
    const stranger: Handler = async (_, pause) => {
      await pause()
      throw shared
    }
    const handlers = [user, stranger, user]
    const check = (answers: Answer[]) => {
      const [first, nobody, second] = answers as [Answer, Answer, Answer]
      t.is(first.cookies.length, 1)
      t.is(second.cookies.length, 1)
      t.not(idOf(first), idOf(second))
      t.deepEqual(nobody.cookies, [])
      const expected = 'headers' in shared ? 'Basic' : undefined
      t.deepEqual(
        answers.map(answer => answer.headers['www-authenticate']),
        [expected, expected, expected],
      )
    }
    const answers = []
    for (const handler of handlers) answers.push(await browser.send(handler))
    check(answers)
    const finishes = []
    for (const handler of handlers) finishes.push(await browser.begin(handler))
    check(await Promise.all(finishes.map(finish => finish())))
    t.deepEqual((shared as { headers?: object }).headers, 'headers' in shared ? headers : undefined)
  }
})

test('Parallel responses with the same error object carry their own cookies or none', async t => {
  const hold = gate()
  let arrived = 0
  // Outside of the session: each answer is known by now, and waits here for the others.
  const outside: Middleware = async (_, next) => {
    try {
      await next()
    } catch (error) {
      if (++arrived === 4) hold.open()
      await hold.opened
      throw error
    }
  }
  const { browser } = await start(t, {}, { outside })
  const shared = Object.assign(new Error('no'), { status: 401, headers: { 'WWW-Authenticate': 'Basic' } })
  const user: Handler = ({ session }) => {
    session.n = 1
    throw shared
  }
  const stranger: Handler = () => Promise.reject(shared)
  const answers = await Promise.all([user, user, stranger, stranger].map(handler => browser.send(handler)))
  t.deepEqual(
    answers.map(({ cookies }) => cookies.length),
    [1, 1, 0, 0],
  )
  t.not(idOf(answers[0] as Answer), idOf(answers[1] as Answer))
  t.deepEqual(new Set(answers.map(({ headers }) => headers['www-authenticate'])), new Set(['Basic']))
  t.deepEqual(shared.headers, { 'WWW-Authenticate': 'Basic' })
})

const down = (what: 'write' | 'destroy'): Store => ({
  ...memoryStore(),
  [what]: () => Promise.reject(new Error('down')),
})

test("A failing commit is a 503 instead of the handler's 200", async t => {
  const { site, browser } = await start(t, { store: down('write') })
  const answer = await browser.send(
    page => {
      page.session.n = 1
      page.body = 'all is well'
    },
    { status: 503 },
  )
  t.deepEqual([answer.body, answer.headers['retry-after'], answer.cookies], ['Service Unavailable', '1', []])
  t.deepEqual([codes(site.thrown), site.reported], [['ERR_SESSION_STORE'], []])
})

test("A failing commit beside a handler's error goes to onError; the handler's error is the answer", async t => {
  const { site, browser } = await start(t, { store: down('write') })
  const answer = await browser.send(
    page => {
      page.session.n = 1
      page.throw(401)
    },
    { status: 401 },
  )
  t.deepEqual(answer.cookies, [])
  t.deepEqual(codes(site.reported), ['ERR_SESSION_STORE'])
  t.is(site.thrown.length, 1)
})

test('An error that another middleware has answered is no error', async t => {
  const inside: Middleware = async (ctx, next) => {
    await next().catch(() => {
      ctx.status = 500
      ctx.body = 'sorry'
    })
  }
  const { browser } = await start(t, {}, { inside })
  const answer = await browser.send(
    page => {
      page.session.n = 1
      throw new Error('bug')
    },
    { status: 500 },
  )
  t.is(answer.body, 'sorry')
  t.deepEqual(await dataOf(browser, answer), { n: 1 })
})
