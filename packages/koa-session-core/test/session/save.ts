import { setImmediate, setTimeout } from 'node:timers/promises'
import { patient, stopwatch } from '@koa-session/behaviour/patience'
import { type Bag, gate, type Handler } from '../support/app.js'
import { failOnce, overtaken, signedIn } from '../support/signed-in.js'
import { test } from '../support/test.js'

test('save commits now', async t => {
  const { browser } = await signedIn(t, {
    '/save': async ctx => {
      ctx.session.b = 2
      const saved = await ctx.session.save()
      return [saved, (await browser.fork().get('/get')).json]
    },
  })
  t.deepEqual((await browser.get('/save')).json, [true, { a: 1, b: 2 }])
})

test('save resolves to false when the session was gone', async t => {
  const { browser, elsewhere } = await signedIn(t, {
    '/save': async ctx => {
      ctx.session.b = 2
      await browser.fork(ctx.query.from === 'here' ? undefined : elsewhere.url).get('/end')
      return [await ctx.session.save(), await ctx.session.save()]
    },
  })
  for (const from of ['here', 'elsewhere']) {
    await browser.get('/set')
    const saved = await browser.get(`/save?from=${from}`)
    t.deepEqual(saved.json, [false, false], from)
    t.deepEqual((await browser.get('/get')).json, {}, from)
  }
})

test('save of an unchanged session resolves to true with no store call', async t => {
  const { browser, store } = await signedIn(t, {
    '/save': async ctx => {
      const before = await ctx.session.save()
      ctx.session.a++
      await ctx.session.save()
      const calls = store.calls.length
      const after = [await ctx.session.save(), await ctx.session.save()]
      return [before, after, calls, store.calls.length]
    },
    '/empty': ctx => ctx.session.save(),
    '/look': ctx => [ctx.session.a, Reflect.ownKeys(ctx.session)],
  })
  t.deepEqual((await browser.get('/save')).json, [true, [true, true], 2, 2])
  t.deepEqual(store.calls, ['read', 'write'])
  store.calls.length = 0
  await browser.get('/look')
  t.deepEqual(store.calls, ['read'])
  browser.jar.clear()
  store.calls.length = 0
  t.like(await browser.get('/empty'), { text: 'true', cookies: [] })
  t.deepEqual(store.calls, [])
})

test('save and update keep the identity of values that no other request changed', async t => {
  const { browser, store, elsewhere } = await signedIn(t, {
    '/fill': ctx => {
      ctx.session = { mine: { n: 1 }, quiet: { n: 1 }, theirs: { n: 1 }, gone: 1 }
    },
    '/theirs': ctx => {
      ctx.session.theirs.n++
      ctx.session.added = { n: 1 }
      delete ctx.session.gone
    },
    '/keep': async ctx => {
      const { session } = ctx
      const { mine, quiet, theirs } = session
      mine.n = 5
      if (ctx.query.by === 'save') await session.save()
      else await session.update(bag => Object.assign(bag, { updated: true }) && undefined)
      const same = [session.mine === mine, session.quiet === quiet, session.theirs === theirs]
      return [same, { ...session }]
    },
  })
  for (const by of ['save', 'update']) {
    await browser.get('/fill')
    overtaken(store, () => browser.fork(elsewhere.url).get('/theirs'))
    const after = { mine: { n: 5 }, quiet: { n: 1 }, theirs: { n: 2 }, added: { n: 1 } }
    const expected = by === 'save' ? after : { ...after, updated: true }
    t.deepEqual((await browser.get(`/keep?by=${by}`)).json, [[true, true, false], expected], by)
    t.deepEqual((await browser.get('/get')).json, expected, by)
    t.is(store.before, undefined)
  }
})

test('An awaited save or rotateId puts its cookie on the response at once', async t => {
  const streamed =
    (how: 'save' | 'rotateId'): Handler =>
    async ctx => {
      ctx.respond = false
      ctx.session.b = 2
      await ctx.session[how]()
      ctx.res.writeHead(200, { 'X-Id': ctx.session.id })
      ctx.res.write('one, ')
      await setImmediate()
      ctx.res.end('two')
    }
  const { client, browser, errors } = await signedIn(t, {
    '/save': streamed('save'),
    '/rotateId': streamed('rotateId'),
  })
  for (const [visitor, path] of [[client(), '/save'] as const, [browser, '/rotateId'] as const]) {
    const reply = await visitor.get(path)
    t.is(reply.text, 'one, two')
    t.regex(reply.cookies.join('\n'), new RegExp(`^sid=${reply.headers.get('x-id')}; .*$`))
    t.is((await visitor.get('/get')).json.b, 2)
  }
  t.deepEqual(errors, [])
})

test('Changes after the response are kept by save() only', async t => {
  for (const act of ['nothing', 'save'] as const) {
    const late = gate<unknown>()
    const { browser } = await signedIn(t, {
      '/late': ctx => {
        const { session } = ctx
        ctx.res.once('close', async () => {
          await setImmediate()
          session.late = true
          late.open(act === 'save' && (await session.save()))
        })
        return 'answered'
      },
    })
    await browser.get('/late')
    t.is(await late.promise, act === 'save')
    t.deepEqual((await browser.get('/get')).json, act === 'save' ? { a: 1, late: true } : { a: 1 })
  }
})

test('A key that the app changes back while its save is under way is stored as it is then, also after a lost race', async t => {
  const { browser, store, elsewhere } = await signedIn(t, {
    '/work': async ctx => {
      ctx.session.a = 2
      overtaken(store, async () => {
        await browser.fork(elsewhere.url).get('/other')
        store.before = operation => {
          if (operation === 'write') ctx.session.a = 1
        }
      })
      const saved = await ctx.session.save()
      store.before = undefined
      return [saved, { ...ctx.session }]
    },
    '/other': ctx => void Object.assign(ctx.session, { other: true }),
  })
  t.deepEqual((await browser.get('/work')).json, [true, { a: 1, other: true }])
  t.deepEqual((await browser.get('/get')).json, { a: 1, other: true })
})

test('The reply of a touch, however late, takes nothing back of what was stored meanwhile, by save or by another request', async t => {
  const { browser, store, elsewhere } = await signedIn(t, {
    '/beside': async ctx => {
      const { session } = ctx
      const arrived = gate()
      const late = gate()
      store.after = async operation => {
        if (operation !== 'touch') return
        arrived.open()
        await late.promise
      }
      const touching = session.touch()
      await arrived.promise
      session.a++
      const saved = [await session.save()]
      await browser.fork(elsewhere.url).get('/other')
      saved.push(await session.update(bag => void (bag as Bag).a++))
      late.open()
      const touched = await touching
      session.a++
      return [saved, touched, await session.save(), { ...session }]
    },
    '/other': ctx => {
      ctx.session.other = true
    },
  })
  const after = { a: 4, other: true }
  t.deepEqual((await browser.get('/beside')).json, [[true, true], true, true, after])
  t.deepEqual((await browser.get('/get')).json, after)
})

test('regenerate, destroy and save call back, with nothing when they succeeded', async t => {
  const { browser } = await signedIn(t, {
    '/call': async ctx => {
      const called: unknown[] = []
      for (const name of ['save', 'regenerate', 'destroy'] as const) {
        const { promise, open } = gate<unknown[]>()
        ctx.session.b = 2
        ctx.session[name]((...args) => open(args))
        called.push(name, await promise)
      }
      return called
    },
  })
  t.deepEqual((await browser.get('/call')).json, ['save', [], 'regenerate', [], 'destroy', []])
  t.is(browser.jar.size, 0)
})

test('A failure given to a callback is not reported anywhere else', async t => {
  for (const name of ['save', 'destroy', 'regenerate'] as const) {
    const reported: unknown[] = []
    const { browser, store } = await signedIn(
      t,
      {
        '/call': async ctx => {
          const { promise, open } = gate<unknown>()
          ctx.session.b = 2
          failOnce(store)
          ctx.session[name](open)
          return ((await promise) as { code: string }).code
        },
      },
      { onError: error => reported.push(error) },
    )
    // A failed ending is retried after the handler.
    t.is((await browser.get('/call')).json, 'ERR_SESSION_STORE', name)
    t.deepEqual((await browser.get('/get')).json, name === 'save' ? { a: 1, b: 2 } : {}, name)
    t.deepEqual(reported, [], name)
  }
})

test('Not awaited, a failure never becomes an unhandled rejection and is reported to onError', async t => {
  const unhandled: unknown[] = []
  const hear = (error: unknown) => unhandled.push(error)
  process.on('unhandledRejection', hear)
  t.teardown(() => process.off('unhandledRejection', hear))
  const starts: Record<string, (session: Bag) => unknown> = {
    '/save': session => session.save(),
    '/rotateId': session => session.rotateId(),
    '/update': session => session.update(bag => Object.assign(bag, { c: 3 }) && undefined),
    '/destroy': session => session.destroy(),
    '/regenerate': session => session.regenerate(),
  }
  for (const [path, start] of Object.entries(starts)) {
    const reported: (Error & { code?: string })[] = []
    const { browser, store, errors } = await signedIn(
      t,
      {
        [path]: ctx => {
          ctx.session.b = 2
          failOnce(store)
          start(ctx.session)
        },
        '/late': ctx => {
          const { session } = ctx
          ctx.res.once('close', () => {
            session.b = 3
            failOnce(store)
            start(session)
          })
        },
      },
      { onError: error => reported.push(error) },
    )
    // A failed ending is retried after the handler, and succeeds.
    t.is((await browser.get(path)).status, 204, path)
    t.deepEqual(
      reported.map(error => error.code),
      ['ERR_SESSION_STORE'],
      path,
    )
    const ended = path === '/destroy' || path === '/regenerate'
    t.deepEqual((await browser.get('/get')).json, ended ? {} : { a: 1, b: 2 }, path)
    await browser.get('/set')
    await browser.get('/late')
    const watch = stopwatch()
    while (reported.length < 2 && watch() < patient(30_000)) await setTimeout(5)
    await setTimeout(20)
    t.deepEqual(
      reported.map(error => error.code),
      path === '/rotateId' ? ['ERR_SESSION_STORE', 'ERR_SESSION_HEADERS_SENT'] : Array(2).fill('ERR_SESSION_STORE'),
      path,
    )
    t.deepEqual(errors, [], path)
  }
  t.deepEqual(unhandled, [])
})

test('Awaited, a failure is for who awaits it and is not reported', async t => {
  const reported: unknown[] = []
  const { browser, store } = await signedIn(
    t,
    {
      '/caught': async ctx => {
        ctx.session.b = 2
        const caught: unknown[] = []
        failOnce(store)
        await ctx.session.save().catch(error => caught.push(error))
        failOnce(store)
        const pending = ctx.session.save()
        await setTimeout(10)
        await pending.then(undefined, error => caught.push(error))
        failOnce(store)
        await Promise.allSettled([ctx.session.save()])
        return caught.map(error => (error as { code: string }).code)
      },
      '/thrown': async ctx => {
        ctx.session.c = 3
        failOnce(store)
        await ctx.session.save()
      },
    },
    { onError: error => reported.push(error) },
  )
  t.deepEqual((await browser.get('/caught')).json, ['ERR_SESSION_STORE', 'ERR_SESSION_STORE'])
  t.is((await browser.get('/thrown')).status, 503)
  t.deepEqual(reported, [])
  t.deepEqual((await browser.get('/get')).json, { a: 1, b: 2 })
})
