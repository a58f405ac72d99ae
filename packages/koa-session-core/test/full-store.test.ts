import test from 'ava'
import Koa from 'koa'
import { memoryStore, type SessionRecord, session } from 'koa-session-core'
import request from 'supertest'

declare module 'koa-session-core' {
  interface SessionData {
    n?: number
  }
}

/** An app on a store that, once it is full, takes no record but one that ends a session. */
function site() {
  const store = memoryStore()
  const full = { isFull: false }
  const app = new Koa()
  app.on('error', () => {})
  app.use(
    session({
      store: {
        ...store,
        async write(key: string, record: SessionRecord, expected: string | null) {
          if (full.isFull && record.expiresAt > Date.now())
            throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
          return store.write(key, record, expected)
        },
      },
    }),
  )
  app.use(async ctx => {
    if (ctx.path === '/in') ctx.session.n = 1
    if (ctx.path === '/regenerate') await ctx.session.regenerate()
    if (ctx.path === '/destroy') await ctx.session.destroy()
    if (ctx.path === '/null') ctx.session = null
    if (ctx.path === '/logout') {
      await ctx.session.destroy()
      ctx.flash('See you')
    }
    if (ctx.path === '/again') {
      await ctx.session.regenerate()
      ctx.session.n = 2
    }
    ctx.body = String(ctx.session.n)
  })
  return { full, browser: request(app.callback()) }
}

for (const path of ['/regenerate', '/destroy', '/null', '/logout', '/again']) {
  test(`${path} ends the session in a store that is full`, async t => {
    const { full, browser } = site()
    const first = await browser.get('/in')
    const cookie = String(first.get('Set-Cookie')?.[0]?.split(';')[0])
    t.is((await browser.get('/').set('Cookie', cookie)).text, '1')
    full.isFull = true
    const answer = await browser.get(path).set('Cookie', cookie)
    // A new session needs room.
    t.is(answer.status, path === '/again' ? 503 : 200)
    if (path !== '/again') t.regex(String(answer.get('Set-Cookie')), /^sid=; .*Max-Age=0/)
    full.isFull = false
    t.is((await browser.get('/').set('Cookie', cookie)).text, 'undefined')
  })
}
