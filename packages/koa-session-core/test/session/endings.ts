import { memoryStore } from 'koa-session-core'
import { type Handler, site, watched } from '../support/app.js'
import { get, set, signedIn } from '../support/signed-in.js'
import { test } from '../support/test.js'

test('rotateId gives a new id, same data, same object; when it resolves the new one is stored and the old one dead', async t => {
  const { browser, id, inner } = await signedIn(t, {
    '/rotate': async ctx => {
      const { session } = ctx
      const { key } = session
      const saved = await session.rotateId()
      const found = await Promise.all([inner.read(ctx.session.key), browserWithOldId.get('/get')])
      return [
        saved,
        session === ctx.session,
        { ...session },
        found[0] !== undefined,
        found[1].json,
        key !== session.key,
      ]
    },
  })
  const browserWithOldId = browser.fork()
  t.deepEqual((await browser.get('/rotate')).json, [true, true, { a: 1 }, true, {}, true])
  t.not(browser.jar.get('sid'), id)
  t.deepEqual((await browser.get('/get')).json, { a: 1 })
})

test('rotateId of a session that was never stored stores it if there is data, and nothing otherwise', async t => {
  const store = watched(memoryStore())
  const rotate: Handler = async ctx => {
    const { id } = ctx.session
    return [await ctx.session.rotateId(), ctx.session.id !== id, ctx.session.isNew]
  }
  const { client } = await site(
    t,
    { '/empty': rotate, '/data': async (ctx, next) => (set(ctx, next), rotate(ctx, next)), '/get': get },
    { store },
  )
  const browser = client()
  const empty = await browser.get('/empty')
  t.deepEqual([empty.json, empty.cookies, store.calls], [[true, true, true], [], []])
  t.deepEqual((await browser.get('/data')).json, [true, true, false])
  t.deepEqual((await browser.get('/get')).json, { a: 1 })
})

test('rotateId resolves like save: false when the session was gone, and it rejects when the store fails', async t => {
  const { browser, store, elsewhere } = await signedIn(t, {
    '/gone': async ctx => {
      await browser.fork(elsewhere.url).get('/end')
      return ctx.session.rotateId()
    },
    '/fails': async ctx => {
      store.before = () => {
        throw new Error('down')
      }
      const error = await ctx.session.rotateId().catch((rejected: unknown) => rejected)
      store.before = undefined
      return [(error as { code: string }).code, { ...ctx.session }, ctx.session.id]
    },
  })
  const id = browser.jar.get('sid')
  t.deepEqual((await browser.get('/fails')).json, ['ERR_SESSION_STORE', { a: 1 }, id])
  t.deepEqual((await browser.get('/get')).json, { a: 1 })
  const gone = await browser.get('/gone')
  t.is(gone.json, false)
  t.deepEqual(gone.cookies, [])
})

test('Without subject only regenerate counts as a login', async t => {
  const change =
    (how: 'rotateId' | 'regenerate'): Handler =>
    async ctx => {
      ctx.session.a = 2
      await browser.fork(elsewhere.url).get('/end')
      await ctx.session[how]()
      ctx.session.user = 'Ada'
    }
  const { browser, elsewhere } = await signedIn(t, {
    '/rotate': change('rotateId'),
    '/regenerate': change('regenerate'),
  })
  t.deepEqual((await browser.get('/rotate')).cookies, [])
  t.deepEqual((await browser.get('/get')).json, {})
  await browser.get('/set')
  await browser.get('/regenerate')
  t.deepEqual((await browser.get('/get')).json, { user: 'Ada' })
})

test('regenerate ends the old session at once and puts a new empty object with a new id into ctx.session', async t => {
  const { browser, id } = await signedIn(t, {
    '/regenerate': async ctx => {
      const { session } = ctx
      await session.regenerate()
      const old = await browserWithOldId.get('/get')
      const seen = [
        old.json,
        session !== ctx.session,
        { ...ctx.session },
        ctx.session.isNew,
        ctx.session.id !== session.id,
      ]
      ctx.session.b = 2
      return seen
    },
  })
  const browserWithOldId = browser.fork()
  t.deepEqual((await browser.get('/regenerate')).json, [{}, true, {}, true, true])
  t.not(browser.jar.get('sid'), id)
  t.deepEqual((await browser.get('/get')).json, { b: 2 })
  t.deepEqual((await browserWithOldId.get('/get')).json, {})
})

test('After regenerate nothing is stored until there is data', async t => {
  const { browser, inner } = await signedIn(t, {
    '/regenerate': async ctx => {
      await ctx.session.regenerate()
      return [await ctx.session.save(), ctx.session.isNew, await inner.read(ctx.session.key)]
    },
  })
  const regenerated = await browser.get('/regenerate')
  t.deepEqual(regenerated.json, [true, true, null])
  t.regex(regenerated.cookies.join(), /^sid=; /)
  t.is(browser.jar.size, 0)
})

test('When destroy resolves the session has ended in the store; the cookie is cleared, ctx.session is a new empty object', async t => {
  const { browser, inner } = await signedIn(t, {
    '/destroy': async ctx => {
      const { session } = ctx
      await session.destroy()
      return [
        (await inner.read(session.key)) === undefined,
        session !== ctx.session,
        { ...ctx.session },
        ctx.session.isNew,
      ]
    },
  })
  const stolen = browser.fork()
  const destroyed = await browser.get('/destroy')
  t.deepEqual(destroyed.json, [true, true, {}, true])
  t.regex(destroyed.cookies.join('\n'), /^sid=; Path=\/; Max-Age=0; .*$/)
  t.is(browser.jar.size, 0)
  t.deepEqual((await stolen.get('/get')).json, {})
})

test("await ctx.session.destroy(); ctx.flash('Bye') works", async t => {
  const { browser, id } = await signedIn(t, {
    '/bye': async ctx => {
      await ctx.session.destroy()
      ctx.flash('Bye')
    },
    '/flash': async ctx => [{ ...ctx.session }, await ctx.flash()],
  })
  const bye = await browser.get('/bye')
  t.is(bye.cookies.length, 1)
  t.not(browser.jar.get('sid'), id)
  t.deepEqual((await browser.get('/flash')).json, [{}, ['Bye']])
})

test('destroy and regenerate of a session that is not stored make no store call and clear no cookie', async t => {
  const store = watched(memoryStore())
  const { client } = await site(
    t,
    { '/destroy': ctx => ctx.session.destroy(), '/regenerate': ctx => ctx.session.regenerate() },
    { store },
  )
  for (const path of ['/destroy', '/regenerate']) t.like(await client().get(path), { status: 204, cookies: [] })
  t.deepEqual(store.calls, [])
})

test('The object of a session that ended can do nothing any more', async t => {
  const { browser } = await signedIn(t, {
    '/end': async ctx => {
      const { session } = ctx
      await session.regenerate()
      ctx.session.b = 2
      await session.regenerate()
      await session.destroy()
      const results = [await session.save(), await session.rotateId(), await session.update(() => {})]
      return [results, { ...session }]
    },
  })
  t.deepEqual((await browser.get('/end')).json, [[false, false, false], { a: 1 }])
  t.deepEqual((await browser.get('/get')).json, { b: 2 })
})
