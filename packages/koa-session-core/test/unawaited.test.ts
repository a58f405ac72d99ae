import { setTimeout } from 'node:timers/promises'
import { patient, stopwatch } from '@koa-session/behaviour/patience'
import test from 'ava'
import { type Bag, gate } from './support/app.js'
import { failOnce, signedIn } from './support/signed-in.js'

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
