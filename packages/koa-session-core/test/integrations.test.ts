import { createRequire } from 'node:module'
import Router from '@koa/router'
import test from 'ava'
import Koa, { type Middleware } from 'koa'
import { agent } from 'supertest'
import { type Ctx, type Handler, Koa2, site } from './support/app.js'
import { body } from './support/body.js'

const csrf = createRequire(import.meta.url)('koa-csrf') as new (options?: object) => Middleware
const get: Handler = async ctx => ({ session: { ...ctx.session }, flash: await ctx.flash() })

for (const [name, App] of Object.entries({ 'Koa 3': Koa, 'Koa 2': Koa2 })) {
  test(`${name}: a session, a flash message, an error and an end`, async t => {
    const { url, errors } = await site(
      t,
      {
        '/set': ctx => {
          ctx.session.userId = 123
          ctx.flash('Signed in')
          ctx.redirect('/')
        },
        '/get': get,
        '/refuse': ctx => {
          ctx.session.tries = 1
          ctx.throw(401)
        },
        '/fail': ctx => {
          ctx.session.tries = 2
          throw new Error('oops')
        },
        '/end': ctx => {
          ctx.session = null
        },
      },
      { Koa: App },
    )
    const browser = agent(url)
    const refused = await browser.get('/refuse').expect(401)
    t.is(refused.get('Set-Cookie')?.length, 1)
    t.like(refused.headers, { 'cache-control': 'no-store', vary: 'Cookie' })
    await browser.get('/fail').expect(500)
    await browser.get('/set').expect(302)
    t.deepEqual(JSON.parse((await browser.get('/get')).text), {
      session: { tries: 1, userId: 123 },
      flash: ['Signed in'],
    })
    await browser.get('/end').expect('Set-Cookie', /^sid=; /)
    t.deepEqual(JSON.parse((await browser.get('/get')).text), { session: {}, flash: [] })
    t.deepEqual(
      errors.map(error => error.message),
      ['Unauthorized', 'oops'],
    )
  })

  test(`${name}, @koa/router: sessions in route handlers, route middleware, parameters and nested routers`, async t => {
    const inner = new Router()
    inner.get('/:n', ctx => {
      const session = (ctx as unknown as Ctx).session
      session.seen = [...(session.seen ?? []), ctx.params.n]
      ctx.body = session.seen
    })
    const router = new Router({ prefix: '/shop' })
    router.use((ctx, next) => {
      ;(ctx as unknown as Ctx).session.visits = ((ctx as unknown as Ctx).session.visits ?? 0) + 1
      return next()
    })
    router.use('/items', inner.routes())
    router.get('/session', async ctx => {
      ctx.body = { ...ctx.session }
    })
    const middleware = [router.routes(), router.allowedMethods()] as unknown as Middleware[]
    const browser = (await site(t, {}, { Koa: App, middleware })).client()
    t.deepEqual((await browser.get('/shop/items/1')).json, ['1'])
    t.deepEqual((await browser.get('/shop/items/2')).json, ['1', '2'])
    t.deepEqual((await browser.get('/shop/session')).json, { seen: ['1', '2'], visits: 3 })
    t.is((await browser.post('/shop/session')).status, 405)
  })

  test(`${name}, koa-csrf: a token is good in its own session only`, async t => {
    const { client } = await site(
      t,
      { '/form': ctx => ctx.state._csrf, '/do': ctx => [ctx.method, Object.keys(ctx.session)] },
      { Koa: App, middleware: [body, new csrf()] },
    )
    const browser = client()
    const token: string = (await browser.get('/form')).json
    t.like(await browser.post('/do', {}), { status: 403, cookies: [] })
    t.is((await browser.post('/do', { _csrf: `${token}x` })).status, 403)
    const done = { status: 200, text: '["POST",["secret"]]' }
    t.like(await browser.post('/do', { _csrf: token }), done)
    t.like(await browser.post('/do', {}, { headers: { 'X-CSRF-Token': token } }), done)
    t.like(await browser.post('/do', { _csrf: (await browser.get('/form')).json }), done)
    const other = client()
    await other.get('/form')
    t.is((await other.post('/do', { _csrf: token })).status, 403)
    t.is((await client().post('/do', { _csrf: token })).status, 403)
  })

  test(`${name}: an accessor for session that another library put on app.context is not in the way`, async t => {
    const { client } = await site(
      t,
      {
        '/set': ctx => {
          ctx.session.a = 1
        },
        '/get': get,
      },
      {
        Koa: App,
        before: app => {
          const refuse = () => t.fail('it was used')
          for (const property of ['session', 'flash'])
            Object.defineProperty(app.context, property, { get: refuse, set: refuse })
        },
      },
    )
    const browser = client()
    await browser.get('/set')
    t.deepEqual((await browser.get('/get')).json, { session: { a: 1 }, flash: [] })
  })
}
