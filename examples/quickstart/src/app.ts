import Router from '@koa/router'
import Koa from 'koa'
import { memoryStore, type Sessions, type Store, session } from 'koa-session-core'

declare module 'koa-session-core' {
  interface SessionData {
    user_id?: string
  }
}

// This line chooses the store. Try `fileStore()` of koa-session-store-file.
export function createApp(store: Store = memoryStore()): { app: Koa; sessions: Sessions } {
  const app = new Koa()
  const sessions = session({ store })
  const router = new Router()

  router.get('/', ctx => {
    ctx.body = 'Try /set?user_id=7 /get /clear /set-simple /get-simple /set-complex /get-complex\n'
  })

  router.get('/set', ctx => {
    ctx.session.user_id = String(ctx.query.user_id ?? 'nobody')
    ctx.body = `user_id is ${ctx.session.user_id}\n`
  })

  router.get('/get', ctx => {
    ctx.body = { user_id: ctx.session.user_id ?? null }
  })

  router.get('/clear', ctx => {
    ctx.session.clear()
    ctx.body = 'Cleared\n'
  })

  router.get('/set-simple', ctx => {
    ctx.flash('A plain string')
    ctx.flash('success', 'A message with a type')
    ctx.body = 'Two messages wait\n'
  })

  router.get('/set-complex', ctx => {
    ctx.flash({ title: 'An object', tags: ['with', 'an', 'array'] })
    ctx.flash(['an array', { of: 'values' }])
    ctx.flash('order', { id: 7, at: new Date() })
    ctx.body = 'Three messages wait\n'
  })

  // The first request to ask gets all waiting messages.
  router.get(['/get-simple', '/get-complex'], async ctx => {
    ctx.body = await ctx.flash()
  })

  app.use(sessions).use(router.routes())
  return { app, sessions }
}
