import Router from '@koa/router'
import Koa from 'koa'
import { memoryStore, session } from 'koa-session-core'

declare module 'koa-session-core' {
  interface SessionData {
    user_id?: string
    count?: number
  }
}

const app = new Koa()
const router = new Router()

// This line chooses the store. Try `fileStore()` of koa-session-store-file.
const sessions = session({ store: memoryStore() })

router.get('/', ctx => {
  ctx.type = 'html'
  ctx.body = page
})

// Set a value. It is stored before the response is sent.
router.post('/set', ctx => {
  ctx.session.user_id = String(ctx.query.user_id ?? 'nobody')
  ctx.body = `user_id is ${ctx.session.user_id}\n`
})

// Read it.
router.get('/get', ctx => {
  ctx.body = { user_id: ctx.session.user_id ?? null }
})

// Count. `update` loses nothing, however many requests come at once.
router.post('/count', async ctx => {
  await ctx.session.update(data => {
    data.count = (data.count ?? 0) + 1
  })
  ctx.body = { count: ctx.session.count }
})

// Remove all values. The messages below stay.
router.post('/clear', ctx => {
  ctx.session.clear()
  ctx.body = 'Cleared\n'
})

// End the session.
router.post('/end', async ctx => {
  await ctx.session.destroy()
  ctx.body = 'Ended\n'
})

// Queue messages for a later request: a text, and a text with a type.
router.post('/set-simple', ctx => {
  ctx.flash('A plain string')
  ctx.flash('success', 'A message with a type')
  ctx.body = 'Two messages wait\n'
})

// Any value will do that the session could hold.
router.post('/set-complex', ctx => {
  ctx.flash({ title: 'An object', tags: ['with', 'an', 'array'] })
  ctx.flash('order', { id: 7, at: new Date() })
  ctx.body = 'Two messages wait\n'
})

// Take all messages. Of any number of parallel requests, one gets them.
router.get('/messages', async ctx => {
  ctx.body = await ctx.flash()
})

const post = (action: string) => `<form method="post" action="${action}"><button>POST ${action}</button></form>`
const get = (path: string) => `<p><a href="${path}">GET ${path}</a></p>`
const page = `<!doctype html>
<html lang="en">
<title>koa-session-core quickstart</title>
${['/set?user_id=7', '/count', '/clear', '/end', '/set-simple', '/set-complex'].map(post).join('\n')}
${['/get', '/messages'].map(get).join('\n')}
</html>
`

app.use(sessions).use(router.routes())

const port = Number(process.env.PORT ?? 3000)
const server = app.listen(port, () => console.log(`http://localhost:${port}/`))
server.once('error', (error: NodeJS.ErrnoException) => {
  console.error(error.code === 'EADDRINUSE' ? `Port ${port} is taken: choose another by PORT` : error)
  process.exitCode = 1
})
process.once('SIGTERM', () => server.close(() => sessions.close()))
