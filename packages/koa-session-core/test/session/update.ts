import { setImmediate } from 'node:timers/promises'
import { type Bag, type Ctx, type Handler, site } from '../support/app.js'
import { get, overtaken, type SignedIn, signedIn } from '../support/signed-in.js'
import { test } from '../support/test.js'

async function failure(run: () => Promise<unknown>): Promise<unknown> {
  try {
    await run()
  } catch (error) {
    return error
  }
  return undefined
}

test('update is an atomic read-modify-write', async t => {
  const { browser, elsewhere } = await signedIn(t, {
    '/count': ctx => ctx.session.update(bag => void Object.assign(bag, { n: ((bag as Bag).n ?? 0) + 1 })),
  })
  const visits = Array.from({ length: 20 }, (_, n) => browser.fork(n % 2 ? elsewhere.url : undefined).get('/count'))
  t.deepEqual(
    (await Promise.all(visits)).map(visit => visit.text),
    Array(20).fill('true'),
  )
  t.deepEqual((await browser.get('/get')).json, { a: 1, n: 20 })
})

test('update resolves like save: false when the session was gone, and then nothing changed', async t => {
  const { browser, elsewhere } = await signedIn(t, {
    '/update': async ctx => {
      await browser.fork(elsewhere.url).get('/end')
      const updated = await ctx.session.update(bag => Object.assign(bag, { b: 2 }) && undefined)
      return [updated, { ...ctx.session }]
    },
  })
  t.deepEqual((await browser.get('/update')).json, [false, { a: 1 }])
  t.deepEqual((await browser.get('/get')).json, {})
})

test('update stores a session that was new', async t => {
  const { client } = await site(t, {
    '/update': ctx => ctx.session.update(bag => Object.assign(bag, { b: 2 }) && undefined),
    '/get': get,
  })
  const browser = client()
  t.is((await browser.get('/update')).json, true)
  t.deepEqual((await browser.get('/get')).json, { b: 2 })
})

test('The function of update runs again on fresh data after a lost race', async t => {
  const seen: unknown[] = []
  const { browser, store, elsewhere } = await signedIn(t, {
    '/update': async ctx => {
      ctx.session.mine = true
      const updated = await ctx.session.update(bag => {
        seen.push({ ...bag })
        ;(bag as Bag).a += 10
        ;(bag as Bag).list.push('here')
      })
      return [updated, { ...ctx.session }]
    },
    '/fill': ctx => {
      ctx.session.list = []
    },
    '/theirs': ctx => {
      ctx.session.a = 5
      ctx.session.list.push('there')
    },
  })
  await browser.get('/fill')
  overtaken(store, () => browser.fork(elsewhere.url).get('/theirs'))
  const after = { a: 15, list: ['there', 'here'], mine: true }
  t.deepEqual((await browser.get('/update')).json, [true, after])
  t.deepEqual((await browser.get('/get')).json, after)
  t.is(seen.length, 2)
  t.like(seen[1], { a: 5, mine: true })
})

test('An unsaved change outlives the races that update loses, even if another request makes the same change for a while', async t => {
  const { browser, store, elsewhere } = await signedIn(t, {
    '/update': async ctx => {
      ctx.session.a = 2
      return [await ctx.session.update(bag => void Object.assign(bag, { n: 1 })), { ...ctx.session }]
    },
    '/same': ctx => void Object.assign(ctx.session, { a: 2 }),
    '/other': ctx => void Object.assign(ctx.session, { a: 3 }),
  })
  const races = ['/same', '/other']
  store.before = async operation => {
    const path = operation === 'write' && races.shift()
    if (path) await browser.fork(elsewhere.url).get(path)
  }
  t.deepEqual((await browser.get('/update')).json, [true, { a: 2, n: 1 }])
  t.deepEqual((await browser.get('/get')).json, { a: 2, n: 1 })
})

for (const [what, change] of Object.entries({
  'a list': bag => bag.list.push(bag.list.length),
  'an object': bag => bag.inner.n++,
  'a Map': bag => bag.map.set(bag.map.size, true),
  'a list set to itself': bag => {
    bag.list.push(bag.list.length)
    bag.list = bag.list
  },
} satisfies Record<string, (bag: Bag) => unknown>)) {
  test(`a change by update inside ${what} is made on the newest data, however many races are lost`, async t => {
    const { browser, store, elsewhere } = await signedIn(t, {
      '/fill': ctx => void Object.assign(ctx.session, { list: [], inner: { n: 0 }, map: new Map() }),
      '/update': ctx => ctx.session.update(bag => void change(bag as Bag)),
      '/count': ({ session }) => Math.max(session.list.length, session.inner.n, session.map.size),
    })
    await browser.get('/fill')
    let races = 4
    store.before = async operation => {
      if (operation === 'write' && races-- > 0) await browser.fork(elsewhere.url).get('/update')
    }
    t.is((await browser.get('/update')).json, true)
    t.is((await browser.get('/count')).json, 5)
  })
}

test('The function of update is synchronous: a returned promise is a TypeError and changes nothing', async t => {
  const { browser, errors } = await signedIn(t, {
    '/update': async ctx => {
      ctx.session.mine = true
      const { session } = ctx
      const wrong: unknown[] = [
        async (bag: Bag) => {
          bag.b = 2
          await setImmediate()
          throw new Error('nobody is to hear of this')
        },
        (bag: Bag) => {
          bag.a++
          return { then() {} }
        },
        undefined,
        { b: 2 },
      ]
      const errors = []
      for (const fn of wrong) errors.push(await failure(() => session.update(fn as () => void)))
      return [
        errors.map(error => error instanceof TypeError && /^update\(fn\): fn must be /.test(error.message)),
        { ...session },
      ]
    },
  })
  t.deepEqual((await browser.get('/update')).json, [[true, true, true, true], { a: 1, mine: true }])
  t.deepEqual((await browser.get('/get')).json, { a: 1, mine: true })
  t.deepEqual(errors, [])
})

test('When the function of update throws, update rejects with its error and nothing changed', async t => {
  const mistake = new Error('my mistake')
  const { browser, errors, store } = await signedIn(t, {
    '/update': async ctx => {
      ctx.session.mine = { n: 1 }
      const error = await failure(() =>
        ctx.session.update(bag => {
          Object.assign(bag, { a: 2, b: 2 })
          ;(bag as Bag).mine.n++
          throw mistake
        }),
      )
      return [error === mistake, { ...ctx.session }, [...store.calls]]
    },
  })
  t.deepEqual((await browser.get('/update')).json, [true, { a: 1, mine: { n: 1 } }, ['read']])
  t.deepEqual((await browser.get('/get')).json, { a: 1, mine: { n: 1 } })
  t.deepEqual(errors, [])
})

for (const [what, change] of Object.entries({
  throws: () => {
    throw new Error('my mistake')
  },
  'returns a promise': async () => {},
  'sets what cannot be stored': bag => {
    bag.wrong = () => {}
  },
} satisfies Record<string, (bag: Bag) => unknown>)) {
  test(`after an update whose function ${what}, the objects that it left alone are still those of the session`, async t => {
    const { browser } = await signedIn(t, {
      '/fill': ctx => void Object.assign(ctx.session, { list: [1], inner: { map: new Map() } }),
      '/update': async ctx => {
        const { list, inner } = ctx.session
        const error = await failure(() => ctx.session.update(change as () => void))
        list.push(2)
        inner.map.set('late', true)
        return error instanceof Error
      },
      '/count': ({ session }) => [session.list.length, session.inner.map.size],
    })
    await browser.get('/fill')
    t.true((await browser.get('/update')).json)
    t.deepEqual((await browser.get('/count')).json, [2, 1])
  })
}

const filled = () => ({
  list: [{ n: 1 }],
  inner: { list: ['one'] },
  map: new Map([['key', [1]]]),
  set: new Set(['one']),
  date: new Date(1),
  bytes: Uint8Array.of(1),
})

function grow(data: object, by: string): void {
  const { list, inner, map, set, date, bytes } = data as ReturnType<typeof filled>
  list.unshift({ n: 0 })
  for (const item of list) item.n++
  inner.list.push(by)
  map.get('key')?.push(2)
  map.set(by, [])
  set.add(by)
  date.setTime(date.getTime() + 1)
  bytes.set([date.getTime()])
}

for (const [what, meanwhile] of Object.entries({
  'a race was lost': ({ store, browser, elsewhere }) =>
    overtaken(store, () => browser.fork(elsewhere.url).get('/other')),
  'another change of the request is under way': (_site, session) => {
    session.update(bag => void Object.assign(bag, { other: true }))
  },
  'it fails first': async (_site, session) => {
    await failure(() =>
      session.update(bag => {
        grow(bag, 'nothing')
        throw new Error('my mistake')
      }),
    )
  },
} satisfies Record<string, (site: SignedIn, session: Ctx['session']) => unknown>)) {
  test(`update keeps the identity of the objects that it changes inside, also where ${what}`, async t => {
    const site = await signedIn(t, {
      '/fill': ctx => void Object.assign(ctx.session, filled()),
      '/other': ctx => void Object.assign(ctx.session, { other: true }),
      '/update': async ctx => {
        const { session } = ctx
        const { list, inner, map, set, date, bytes } = session
        const own = { list, inner, map, set, date, bytes }
        const [first] = list
        await meanwhile(site, session)
        const updated = await session.update(bag => grow(bag, 'here'))
        for (const [name, value] of Object.entries(own)) t.is(session[name], value, name)
        t.is(session.list[1], first)
        grow(own, 'later')
        return updated
      },
      '/check': ctx => {
        const expected = filled()
        for (const by of ['here', 'later']) grow(expected, by)
        const { a, other, ...data } = ctx.session
        t.deepEqual(data, expected)
      },
    })
    await site.browser.get('/fill')
    t.true((await site.browser.get('/update')).json)
    await site.browser.get('/check')
  })
}

test('A message that the function of update queues is queued once, however often the function runs', async t => {
  const { browser, store, elsewhere } = await signedIn(t, {
    '/update': async ctx => {
      await failure(() =>
        ctx.session.update(() => {
          ctx.flash('never')
          throw new Error('my mistake')
        }),
      )
      overtaken(store, () => browser.fork(elsewhere.url).get('/other'))
      return ctx.session.update(bag => {
        ;(bag as Bag).a++
        ctx.flash('added')
      })
    },
    '/other': ctx => void Object.assign(ctx.session, { other: true }),
    '/take': ctx => ctx.flash(),
  })
  t.true((await browser.get('/update')).json)
  t.deepEqual((await browser.get('/take')).json, ['added'])
})

test('An update that changes nothing resolves to true with no write, and a new session makes no store call', async t => {
  const { browser, store, client } = await signedIn(t, {
    '/update': ctx => ctx.session.update(bag => void Object.assign(bag, { a: (bag as Bag).a })),
    '/nothing': ctx => ctx.session.update(() => {}),
  })
  t.is((await browser.get('/update')).json, true)
  t.deepEqual(store.calls, ['read', 'read'])
  store.calls.length = 0
  t.like(await client().get('/nothing'), { text: 'true', cookies: [] })
  t.deepEqual(store.calls, [])
})

test('An update that finds nothing to change in what the request has read runs on the newest data', async t => {
  const { browser, elsewhere } = await signedIn(t, {
    '/fill': ctx => void Object.assign(ctx.session, { list: ['kept'] }),
    '/add': ctx => ctx.session.list.push('added'),
    '/remove': async ctx => {
      await browser.fork(elsewhere.url).get('/add')
      const removed = await ctx.session.update(bag => {
        ;(bag as Bag).list = (bag as Bag).list.filter((item: string) => item !== 'added')
      })
      return [removed, { ...ctx.session }]
    },
    '/look': async ctx => {
      await browser.fork(elsewhere.url).get('/add')
      return [await ctx.session.update(() => {}), { ...ctx.session }]
    },
    '/late': async ctx => {
      await browser.fork(elsewhere.url).get('/end')
      return [await ctx.session.update(() => {}), { ...ctx.session }]
    },
  })
  await browser.get('/fill')
  t.deepEqual((await browser.get('/remove')).json, [true, { a: 1, list: ['kept'] }])
  t.deepEqual((await browser.get('/get')).json, { a: 1, list: ['kept'] })
  t.deepEqual((await browser.get('/look')).json, [true, { a: 1, list: ['kept', 'added'] }])
  t.deepEqual((await browser.get('/late')).json, [false, { a: 1, list: ['kept', 'added'] }])
})

for (const [what, prepare] of Object.entries({
  'a stored session': () => {},
  'a regenerated session': ({ session }) => session.regenerate(),
  'a session after a logout': ({ session }) => session.destroy(),
} satisfies Record<string, Handler>)) {
  test(`an update that takes back the only unsaved change of ${what}, or of a new one, takes it back for good`, async t => {
    const { browser, client } = await signedIn(t, {
      '/update': async ctx => {
        await prepare(ctx)
        const before = { ...ctx.session }
        Object.assign(ctx.session, { a: 2, b: [1] })
        const updated = await ctx.session.update(bag => {
          Object.assign(bag, before)
          for (const name of Object.keys(bag)) if (!(name in before)) delete (bag as Bag)[name]
        })
        t.deepEqual({ ...ctx.session }, before)
        return [updated, before]
      },
    })
    for (const one of [browser, client()]) {
      const [updated, before] = (await one.get('/update')).json
      t.true(updated)
      t.deepEqual((await one.get('/get')).json, before)
    }
  })
}

test('Whatever requests do side by side, in one of them and in many, nothing is lost and nothing comes twice', async t => {
  const count = (session: Bag) => session.update(bag => void Object.assign(bag, { n: ((bag as Bag).n ?? 0) + 1 }))
  const { browser, elsewhere, errors } = await signedIn(t, {
    '/many': async ctx => {
      const { session } = ctx
      const { n } = ctx.query
      session[`first${n}`] = true
      ctx.flash(`first${n}`)
      const counting = [count(session), session.save(), count(session)]
      const taking = ctx.flash()
      ctx.flash(`second${n}`)
      session[`second${n}`] = true
      counting.push(session.save(), count(session))
      t.deepEqual(await Promise.all(counting), Array(5).fill(true))
      session[`third${n}`] = true
      return taking
    },
    '/take': ctx => ctx.flash(),
  })
  const visits = Array.from({ length: 8 }, (_, n) =>
    browser.fork(n % 2 ? elsewhere.url : undefined).get(`/many?n=${n}`),
  )
  const taken: string[] = (await Promise.all(visits)).flatMap(visit => visit.json)
  taken.push(...(await browser.get('/take')).json)
  const names = (...words: string[]) => words.flatMap(word => Array.from({ length: 8 }, (_, n) => `${word}${n}`))
  t.deepEqual(taken.sort(), names('first', 'second'))
  const { n, ...rest } = (await browser.get('/get')).json
  t.is(n, 24)
  t.deepEqual(Object.keys(rest).sort(), ['a', ...names('first', 'second', 'third')])
  t.deepEqual(errors, [])
})

const sideBySide: Record<string, (session: Bag) => Promise<boolean>[]> = {
  'save and update': session => [session.save(), add(session)],
  'two updates': session => [add(session), add(session)],
  'rotateId and update': session => [session.rotateId(), add(session)],
  'update and rotateId': session => [add(session), session.rotateId()],
}
const add = (session: Bag) => session.update(bag => void Object.assign(bag, { n: ((bag as Bag).n ?? 0) + 1 }))

for (const [how, other] of Object.entries({
  'another login replaced the session': ({ session }) => session.regenerate(),
  'the session moved on': ({ session }) => session.rotateId(),
  'the session ended': ({ session }) => session.destroy(),
  'its own login replaced the session': () => {},
} satisfies Record<string, (ctx: Ctx) => unknown>)) {
  for (const [what, operations] of Object.entries(sideBySide)) {
    test(`When ${how}, ${what} side by side store one login, and each change once`, async t => {
      const site = await signedIn(
        t,
        {
          '/other': async ctx => {
            await other(ctx)
            if (how.startsWith('another')) ctx.session.user = 'ada'
          },
          '/login': async ctx => {
            if (how.startsWith('its own')) await ctx.session.regenerate()
            else await browser.fork(elsewhere.url).get('/other')
            ctx.session.user = 'ada'
            ctx.session.n = 1
            // The next calls of the store take a while, so that each operation meets the other under way.
            store.before = () => setImmediate()
            store.after = () => setImmediate()
            return Promise.all(operations(ctx.session))
          },
        },
        { subject: data => (data as { user?: string }).user },
      )
      const { browser, elsewhere, errors, store } = site
      t.deepEqual((await browser.get('/login')).json, [true, true])
      t.deepEqual((await browser.get('/get')).json, { user: 'ada', n: what === 'two updates' ? 3 : 2 })
      t.deepEqual(errors, [])
    })
  }
}
