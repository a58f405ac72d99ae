import { type Ctx, type Handler, site } from '../support/app.js'
import type { Client } from '../support/client.js'
import { failOnce, overtaken, signedIn } from '../support/signed-in.js'
import { test } from '../support/test.js'

/** Types over which passport and templates agree: anything the codec keeps. */
const values = () => [
  'text',
  0,
  false,
  null,
  undefined,
  ['a', 1],
  { type: 'info', message: { deep: [1n] } },
  new Date(0),
  new Map([['k', new Set([1])]]),
  Number.NaN,
]
const queue =
  (...messages: unknown[]): Handler =>
  ctx => {
    for (const message of messages) ctx.flash(message)
  }
const take: Handler = ctx => ctx.flash()
const taken = async (browser: Client) => (await browser.get('/take')).json

test('ctx.flash(value) queues any serializable value', async t => {
  let received: unknown[] = []
  const { client } = await site(t, {
    '/queue': queue(...values()),
    '/take': async ctx => {
      received = await ctx.flash()
    },
  })
  const browser = client()
  await browser.get('/queue')
  await browser.get('/take')
  t.deepEqual(received, values())
})

test('A value that is not serializable is refused where it is queued, and what was queued before it stays', async t => {
  const { client } = await site(t, {
    '/queue': ctx => {
      ctx.flash('before')
      const refused = [() => {}, Symbol('s'), new (class Person {})(), { deep: [() => {}] }].map(value => {
        try {
          ctx.flash(value)
        } catch (error) {
          return (error as { code: string }).code
        }
        return 'queued'
      })
      ctx.flash('after')
      return refused
    },
    '/take': take,
  })
  const browser = client()
  t.deepEqual((await browser.get('/queue')).json, Array(4).fill('ERR_SESSION_ENCODE'))
  t.deepEqual(await taken(browser), ['before', 'after'])
})

test('A message is queued as it is in that moment', async t => {
  const { client } = await site(t, {
    '/queue': ctx => {
      const message = { n: 1 }
      ctx.flash(message)
      message.n = 2
    },
    '/take': take,
  })
  const browser = client()
  await browser.get('/queue')
  t.deepEqual(await taken(browser), [{ n: 1 }])
})

test('ctx.flash(type, message) queues { type, message }; it needs no this', async t => {
  const { client } = await site(t, {
    '/queue': ctx => {
      const { flash } = ctx
      flash('error', 'Wrong password')
      flash('error', { code: 1 })
      return [typeof flash('info', undefined)]
    },
    '/take': async ctx => {
      const { flash } = ctx
      return (await flash<object>()).map(message => [message, Object.keys(message)])
    },
  })
  const browser = client()
  t.deepEqual((await browser.get('/queue')).json, ['undefined'])
  t.deepEqual(await taken(browser), [
    [{ type: 'error', message: 'Wrong password' }, ['type', 'message']],
    [{ type: 'error', message: { code: 1 } }, ['type', 'message']],
    [{ type: 'info' }, ['type', 'message']],
  ])
})

test('await ctx.flash() takes everything earlier requests queued, oldest first', async t => {
  const { client } = await site(t, {
    '/first': queue('a', 'b'),
    '/second': queue('c'),
    '/third': queue({ n: 4 }),
    '/take': async ctx => [await ctx.flash(), await ctx.flash()],
  })
  const browser = client()
  for (const path of ['/first', '/second', '/third']) await browser.get(path)
  t.deepEqual(await taken(browser), [['a', 'b', 'c', { n: 4 }], []])
  t.deepEqual(await taken(browser), [[], []])
})

test('It is [] with no store call when nothing waits', async t => {
  const { browser, store, client } = await signedIn(t, { '/take': take })
  t.deepEqual(await taken(browser), [])
  t.deepEqual(store.calls, ['read'])
  store.calls.length = 0
  t.like(await client().get('/take'), { text: '[]', cookies: [] })
  t.deepEqual(store.calls, [])
})

test('Taking claims in the store before it resolves: at most once', async t => {
  const { browser, store, elsewhere } = await signedIn(t, {
    '/queue': queue('one', 'two'),
    '/take': async ctx => {
      const messages = await ctx.flash()
      const others = await Promise.all([browser.fork().get('/other'), browser.fork(elsewhere.url).get('/other')])
      return [messages, others.map(reply => reply.json), [...store.calls]]
    },
    '/other': take,
    '/fails': async ctx => {
      failOnce(store)
      return ctx.flash().catch((error: { code: string }) => error.code)
    },
  })
  await browser.get('/queue')
  store.calls.length = 0
  t.deepEqual(await taken(browser), [
    ['one', 'two'],
    [[], []],
    ['read', 'write', 'read'],
  ])
  await browser.get('/queue')
  t.is((await browser.get('/fails')).json, 'ERR_SESSION_STORE')
  t.deepEqual((await taken(browser))[0], ['one', 'two'])
})

test('Read by any number of parallel requests, one gets it', async t => {
  const { browser, elsewhere } = await signedIn(t, { '/queue': queue('once'), '/take': take })
  for (let round = 0; round < 3; round++) {
    await browser.get('/queue')
    const readers = Array.from({ length: 20 }, (_, n) => taken(browser.fork(n % 2 ? elsewhere.url : undefined)))
    t.deepEqual((await Promise.all(readers)).flat(), ['once'])
  }
})

test('Messages that parallel requests queue are all delivered', async t => {
  const say: Handler = ctx => {
    ctx.session[ctx.query.n as string] = true
    ctx.flash(Number(ctx.query.n))
  }
  const { browser, elsewhere } = await signedIn(t, { '/say': say, '/take': take })
  const speakers = Array.from({ length: 20 }, (_, n) =>
    browser.fork(n % 2 ? elsewhere.url : undefined).get(`/say?n=${n}`),
  )
  await Promise.all(speakers)
  const numbers: number[] = await taken(browser)
  t.deepEqual(
    numbers.sort((one, other) => one - other),
    Array.from({ length: 20 }, (_, n) => n),
  )
})

test('A value queued now is for later requests', async t => {
  const { client } = await site(t, {
    '/both': async ctx => {
      ctx.flash('mine')
      const first = await ctx.flash()
      await ctx.session.save()
      const saved = await ctx.flash()
      await ctx.session.rotateId()
      return [first, saved, await ctx.flash()]
    },
    '/take': take,
  })
  const browser = client()
  t.deepEqual((await browser.get('/both')).json, [[], [], []])
  t.deepEqual((await browser.get('/both')).json, [['mine'], [], []])
  t.deepEqual(await taken(browser), ['mine'])
})

test('Read by none, it waits', async t => {
  const { browser } = await signedIn(t, { '/queue': queue('waits'), '/take': take })
  await browser.get('/queue')
  for (let n = 0; n < 5; n++) await browser.get('/get')
  await browser.get('/set')
  t.deepEqual(await taken(browser), ['waits'])
})

test('At most 50 wait; the oldest goes', async t => {
  const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)
  const { client } = await site(t, {
    '/many': queue(...numbers(0, 60)),
    '/fifty': queue(...numbers(100, 150)),
    '/one': queue(200),
    '/take': take,
  })
  const browser = client()
  await browser.get('/fifty')
  t.deepEqual(await taken(browser), numbers(100, 150))
  await browser.get('/many')
  await browser.get('/one')
  t.deepEqual(await taken(browser), [...numbers(11, 60), 200])
})

test('Unread messages of earlier requests survive redirects, rotateId, clear and = {…}', async t => {
  const ways: Record<string, Handler> = {
    redirect: ctx => ctx.redirect('/elsewhere'),
    rotateId: ctx => ctx.session.rotateId(),
    clear: ctx => ctx.session.clear(),
    replace: ctx => {
      ctx.session = { b: 2 }
    },
    save: ctx => {
      ctx.session.b = 3
      return ctx.session.save()
    },
    update: ctx => ctx.session.update(bag => Object.assign(bag, { b: 4 }) && undefined),
    'a change of subject': ctx => {
      ctx.session.user = 'Ada'
    },
  }
  for (const [way, run] of Object.entries(ways)) {
    const { browser } = await signedIn(
      t,
      { '/queue': queue('unread'), '/way': run, '/take': take },
      { subject: data => (data as { user?: string }).user },
    )
    await browser.get('/queue')
    t.true((await browser.get('/way')).status < 400, way)
    t.deepEqual(await taken(browser), ['unread'], way)
  }
})

const endings: Record<string, (ctx: Ctx) => unknown> = {
  regenerate: ctx => ctx.session.regenerate(),
  'regenerate, not awaited': ctx => void ctx.session.regenerate(),
  destroy: ctx => ctx.session.destroy(),
  'destroy, not awaited': ctx => void ctx.session.destroy(),
  null: ctx => {
    ctx.session = null
  },
}

test('They are dropped by regenerate, destroy and null', async t => {
  for (const [way, end] of Object.entries(endings)) {
    const { browser } = await signedIn(t, {
      '/queue': queue("the last person's"),
      '/end': async ctx => {
        await end(ctx)
        const now = await ctx.flash()
        ctx.session.b = 2
        return now
      },
      '/take': take,
    })
    await browser.get('/queue')
    t.deepEqual((await browser.get('/end')).json, [], way)
    t.deepEqual(await taken(browser), [], way)
    t.deepEqual((await browser.get('/get')).json, { b: 2 }, way)
  }
})

test('Messages queued by this request survive regenerate; destroy and null drop what was queued before them', async t => {
  for (const [way, end] of Object.entries(endings)) {
    for (const saved of [false, true]) {
      const { browser } = await signedIn(t, {
        '/queue': queue("the last person's"),
        '/end': async ctx => {
          ctx.flash('before')
          if (saved) await ctx.session.save()
          await end(ctx)
          ctx.flash('after')
        },
        '/take': take,
      })
      await browser.get('/queue')
      await browser.get('/end')
      const expected = way.startsWith('regenerate') ? ['before', 'after'] : ['after']
      t.deepEqual(await taken(browser), expected, `${way}, ${saved}`)
    }
  }
})

test('A message alone makes a session', async t => {
  const { client } = await site(t, { '/queue': queue('hello'), '/take': take, '/get': ctx => ({ ...ctx.session }) })
  const browser = client()
  t.is((await browser.get('/queue')).cookies.length, 1)
  t.deepEqual((await browser.get('/get')).json, {})
  t.deepEqual(await taken(browser), ['hello'])
})

test('A message and a change that another process overtakes both arrive, once', async t => {
  const { browser, store, elsewhere } = await signedIn(t, {
    '/queue': ctx => {
      ctx.session.b = 2
      ctx.flash('here')
    },
    '/theirs': queue('there'),
    '/take': take,
  })
  overtaken(store, () => browser.fork(elsewhere.url).get('/theirs'))
  await browser.get('/queue')
  t.is(store.before, undefined)
  t.deepEqual(await taken(browser), ['there', 'here'])
  t.deepEqual((await browser.get('/get')).json, { a: 1, b: 2 })
})

test('Taking changes nothing else: what the request changed without saving is stored by its commit', async t => {
  const { browser } = await signedIn(t, {
    '/queue': queue('one'),
    '/take': async ctx => {
      ctx.session.b = { n: 1 }
      const messages = await ctx.flash()
      const seen = (await browser.fork().get('/get')).json
      ctx.session.b.n++
      return [messages, seen]
    },
  })
  await browser.get('/queue')
  t.deepEqual(await taken(browser), [['one'], { a: 1 }])
  t.deepEqual((await browser.get('/get')).json, { a: 1, b: { n: 2 } })
})

test('Messages that a handler took stay taken even if it fails afterwards', async t => {
  const { browser } = await signedIn(t, {
    '/queue': queue('one'),
    '/fail': async ctx => {
      await ctx.flash()
      ctx.flash('of a request that failed')
      throw new Error('afterwards')
    },
    '/take': take,
  })
  await browser.get('/queue')
  t.is((await browser.get('/fail')).status, 500)
  t.deepEqual(await taken(browser), [])
})

test('Of a session that ended meanwhile nothing is delivered', async t => {
  const { browser, store, elsewhere } = await signedIn(t, { '/queue': queue('one'), '/take': take })
  await browser.get('/queue')
  overtaken(store, () => browser.fork(elsewhere.url).get('/end'))
  t.deepEqual(await taken(browser), [])
  t.is(store.before, undefined)
})

test('A late request under the old id of a rotation leaves the messages waiting under the new one', async t => {
  const { browser, store, elsewhere } = await signedIn(t, {
    '/queue': queue('one'),
    '/rotate': ctx => ctx.session.rotateId(),
    '/take': take,
  })
  await browser.get('/queue')
  const rotating = browser.fork(elsewhere.url)
  overtaken(store, () => rotating.get('/rotate'))
  t.deepEqual(await taken(browser), [])
  t.is(store.before, undefined)
  t.deepEqual(await taken(rotating), ['one'])
})

test('A rotation that is overtaken by a taker does not deliver again', async t => {
  const { browser, store, elsewhere } = await signedIn(t, {
    '/queue': queue('one'),
    '/rotate': ctx => ctx.session.rotateId(),
    '/take': take,
  })
  await browser.get('/queue')
  const late = browser.fork(elsewhere.url)
  let delivered: unknown
  // The first write makes the copy, the second one decides.
  overtaken(store, async () =>
    overtaken(store, async () => {
      delivered = await taken(late)
    }),
  )
  t.is((await browser.get('/rotate')).json, true)
  t.deepEqual(delivered, ['one'])
  t.deepEqual(await taken(browser), [])
})

test('A forgotten await on ctx.flash() fails at once where the promise is shown, and the messages stay', async t => {
  const mistakes: Record<string, (messages: any) => unknown> = {
    '/json': messages => JSON.stringify({ messages }),
    '/template': messages => `<p>${messages}</p>`,
    '/concatenated': messages => `messages: ` + messages,
    '/loop': messages => [...messages],
    '/length': messages => messages.length > 0,
    '/map': messages => messages.map(String),
    '/join': messages => messages.join(),
  }
  const handlers = Object.entries(mistakes).map(([path, mistake]): [string, Handler] => [
    path,
    ctx => {
      t.throws(() => mistake(ctx.flash()), { instanceOf: TypeError, message: /await ctx\.flash\(\)/ })
      ctx.flash() // Neither awaited nor shown.
    },
  ])
  const { client, errors } = await site(t, { ...Object.fromEntries(handlers), '/queue': queue('one'), '/take': take })
  const browser = client()
  await browser.get('/queue')
  for (const path of Object.keys(mistakes)) await browser.get(path)
  t.deepEqual(await taken(browser), ['one'])
  t.deepEqual(errors, [])
})

test('A page that shows ctx.flash() without await is a 500 that says so, and the messages stay', async t => {
  const { client, errors } = await site(t, {
    '/queue': queue('one'),
    '/page': (ctx, next) => {
      ctx.body = { messages: ctx.flash() }
      return next()
    },
    '/take': take,
  })
  const browser = client()
  await browser.get('/queue')
  t.is((await browser.get('/page')).status, 500)
  t.regex(errors[0]?.message ?? '', /await ctx\.flash\(\)/)
  t.deepEqual(await taken(browser), ['one'])
})

test('What ctx.flash() returns is a promise in every way: then, catch, finally, Promise.all, awaited twice', async t => {
  const { client } = await site(t, {
    '/queue': queue('one'),
    '/then': ctx => ctx.flash().then((messages: unknown[]) => messages),
    '/catch': ctx => ctx.flash().catch(() => 'failed'),
    '/finally': ctx => ctx.flash().finally(() => {}),
    '/all': async ctx => (await Promise.all([ctx.flash()]))[0],
    '/twice': async ctx => {
      const messages = ctx.flash()
      await messages
      return messages
    },
  })
  const browser = client()
  for (const path of ['/then', '/catch', '/finally', '/all', '/twice']) {
    await browser.get('/queue')
    t.deepEqual((await browser.get(path)).json, ['one'], path)
  }
})

test('More than a type and a message are refused, and nothing is queued', async t => {
  const { client } = await site(t, {
    '/queue': ctx => {
      const flash = ctx.flash as (...values: unknown[]) => void
      t.throws(() => flash('info', 'Hello %s', 'Ada'), {
        instanceOf: TypeError,
        message: /a value, or a type and a message, got 3/,
      })
    },
    '/take': take,
  })
  const browser = client()
  await browser.get('/queue')
  t.deepEqual(await taken(browser), [])
})
