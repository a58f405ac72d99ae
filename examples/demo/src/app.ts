import Router from '@koa/router'
import Koa, { type Context } from 'koa'
import { memoryStore, type SessionInfo, type Sessions, type Store, session } from 'koa-session-core'
import { readForm } from './form.js'
import { deviceName, homeBody, type Message, page, type Race, signInBody } from './pages.js'
import { raceRoutes, run } from './race.js'
import { script } from './script.js'

declare module 'koa-session-core' {
  interface SessionData {
    user?: string
    cart?: Record<string, number>
    device?: string
  }
}

const goods = ['tea', 'coffee']
const thirtyDays = 30 * 24 * 60 * 60 * 1000

export function createApp(store: Store = memoryStore()): { app: Koa; sessions: Sessions } {
  const app = new Koa()
  const sessions = session({ store, subject: data => data.user })
  const router = new Router()

  router.get('/', ctx => show(ctx))

  // Where there is no JavaScript, the server itself sends the requests.
  router.post('/race', async ctx => {
    const name = (await readForm(ctx)).get('race')
    if (name !== 'requests' && name !== 'sign-out') return ctx.throw(400)
    await show(ctx, { name, outcomes: await run(ctx, name) })
  })

  async function show(ctx: Context, race?: Race): Promise<void> {
    const { user, cart = {} } = ctx.session
    const messages = await ctx.flash<Message>()
    const devices: SessionInfo[] = []
    if (user !== undefined) for await (const device of sessions.list(user)) devices.push(device)
    const wasSignedOut = ctx.session.isNew && /(^|; )(__Host-)?sid=/.test(ctx.get('Cookie'))
    const body =
      user === undefined ? signInBody({ wasSignedOut }) : homeBody({ user, cart, devices, session: ctx.session })
    ctx.body = page({ messages, race }, body)
  }

  router.post('/sign-in', async ctx => {
    const form = await readForm(ctx)
    const user = form.get('user')?.trim().slice(0, 40)
    if (!user) {
      ctx.flash('error', 'Who are you?')
      return back(ctx)
    }
    // A new login gets a new id, so an id that somebody planted before is worthless.
    await ctx.session.regenerate()
    ctx.session.user = user
    ctx.session.device = deviceName(ctx.get('User-Agent'))
    if (form.has('remember')) ctx.session.maxAge = thirtyDays
    ctx.flash('success', `Signed in as ${user}`)
    back(ctx)
  })

  router.post('/sign-out', async ctx => {
    await ctx.session.destroy()
    ctx.flash('success', 'Signed out')
    back(ctx)
  })

  router.get('/cart', ctx => {
    ctx.body = ctx.session.cart ?? {}
  })

  router.post('/cart', async ctx => {
    mustBeSignedIn(ctx)
    const item = (await readForm(ctx)).get('item') ?? ''
    if (!goods.includes(item)) ctx.throw(400)
    // `update` reads, changes and writes in one step, so no parallel request is lost.
    await ctx.session.update(data => {
      data.cart = { ...data.cart, [item]: (data.cart?.[item] ?? 0) + 1 }
    })
    back(ctx)
  })

  router.post('/cart/empty', ctx => {
    mustBeSignedIn(ctx)
    delete ctx.session.cart
    ctx.flash('success', 'The cart is empty')
    back(ctx)
  })

  router.post('/devices/revoke', async ctx => {
    const key = (await readForm(ctx)).get('key')
    // Revoke only the user's own sessions: a key is no secret, so knowing it gives no right.
    for await (const device of sessions.list(mustBeSignedIn(ctx))) {
      if (device.key !== key) continue
      if (key === ctx.session.key) await ctx.session.destroy()
      else await sessions.revoke(key)
      ctx.flash('success', `Signed out ${device.data.device}`)
      return back(ctx)
    }
    ctx.throw(404)
  })

  router.post('/devices/revoke-others', async ctx => {
    const count = await sessions.revokeAll(mustBeSignedIn(ctx), { except: ctx.session.key })
    ctx.flash('success', `Signed out ${count} other ${count === 1 ? 'device' : 'devices'}`)
    back(ctx)
  })

  router.get('/script.js', ctx => {
    ctx.type = 'js'
    ctx.body = script
  })

  app.use(async (ctx, next) => {
    ctx.set(
      'Content-Security-Policy',
      "default-src 'self'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'",
    )
    await next()
  })
  const races = raceRoutes(store)
  app.use((ctx, next) => (ctx.path.startsWith('/race/') ? next() : sessions(ctx, next)))
  app.use(races.routes()).use(router.routes()).use(races.allowedMethods()).use(router.allowedMethods())
  return { app, sessions }
}

function mustBeSignedIn(ctx: Context): string {
  return ctx.session.user ?? ctx.throw(401)
}

/** 303 makes the browser follow a form with a GET. */
function back(ctx: Context): void {
  ctx.status = 303
  ctx.redirect('/')
}
