import { PassThrough } from 'node:stream'
import Router from '@koa/router'
import Koa, { type Context, type Next } from 'koa'
import { memoryStore, type SessionInfo, type Sessions, type Store, session } from 'koa-session-core'
import { readForm } from './form.js'
import { deviceName, goods, homeBody, type Message, page, signInBody, unnamed } from './pages.js'
import { raceRoutes } from './race.js'
import { type Race, type Report, races, runRace } from './run-race.js'
import { script } from './script.js'

declare module 'koa-session-core' {
  interface SessionData {
    user?: string
    cart?: Record<string, number>
    device?: string
  }
}

/** Of its own: browsers send cookies to every port of a host, so one named `sid` may be of another app. */
const cookieName = 'demo'
const thirtyDays = 30 * 24 * 60 * 60 * 1000

export function createApp(store: Store = memoryStore()): { app: Koa; sessions: Sessions } {
  const app = new Koa()
  const sessions = session({ store, subject: data => data.user, cookie: { name: cookieName } })
  const router = new Router()

  router.get('/', ctx => show(ctx))

  router.post('/race', async ctx => {
    const race = await readRace(ctx)
    const reports: Report[] = []
    await runRace(portOf(ctx), race, report => reports.push(report))
    await show(
      ctx,
      reports.filter(report => report.verdict),
    )
  })

  // For the page after a race that is loaded by its address.
  router.get('/race', ctx => seeOther(ctx, '/'))

  // The same with JavaScript: each report as a line of JSON, while the race runs.
  router.post('/race/live', async ctx => {
    const race = await readRace(ctx)
    const lines = new PassThrough()
    ctx.type = 'application/x-ndjson'
    ctx.body = lines
    runRace(portOf(ctx), race, report => lines.write(`${JSON.stringify(report)}\n`)).then(
      () => lines.end(),
      error => lines.destroy(error),
    )
  })

  async function show(ctx: Context, reports: readonly Report[] = []): Promise<void> {
    const { user, cart = {} } = ctx.session
    const messages = await ctx.flash<Message>()
    const devices: SessionInfo[] = []
    if (user !== undefined) for await (const device of sessions.list(user)) devices.push(device)
    devices.sort((one, other) => Number(other.key === ctx.session.key) - Number(one.key === ctx.session.key))
    const hasDeadCookie = ctx.session.isNew && ctx.cookies.get(cookieName) !== undefined
    const hasEnded = user === undefined && (hasDeadCookie || 'signed-out' in ctx.query)
    const isInMemory = store.name === 'memory'
    ctx.body = page(
      { reports, hasEnded },
      user === undefined
        ? signInBody({ messages })
        : homeBody({ user, cart, devices, session: ctx.session, messages, isInMemory }),
    )
  }

  router.post('/sign-in', async ctx => {
    const form = await readForm(ctx)
    const user = form.get('user')?.trim().slice(0, 40)
    if (!user) return back(ctx, { place: 'site', type: 'error', message: 'Who are you?' }, 'user')
    // A new login gets a new id, so an id that somebody planted before is worthless.
    await ctx.session.regenerate()
    ctx.session.user = user
    ctx.session.device = deviceName(ctx.get('User-Agent'))
    if (form.has('remember')) ctx.session.maxAge = thirtyDays
    back(ctx, { place: 'site', type: 'success', message: `Signed in as ${user}` })
  })

  router.post('/sign-out', async ctx => {
    await ctx.session.destroy()
    back(ctx, { place: 'site', type: 'success', message: 'Signed out' })
  })

  router.get('/cart', ctx => {
    ctx.body = ctx.session.cart ?? {}
  })

  router.post('/cart', signedIn, async ctx => {
    const wanted = (await readForm(ctx)).get('item')
    const item = goods.find(one => one === wanted) ?? ctx.throw(400)
    // `update` reads, changes and writes in one step, so no parallel request is lost.
    await ctx.session.update(data => {
      data.cart = { ...data.cart, [item]: (data.cart?.[item] ?? 0) + 1 }
    })
    back(ctx, { place: 'cart', type: 'success', message: `Added ${item}` }, item)
  })

  router.post('/cart/empty', signedIn, ctx => {
    delete ctx.session.cart
    back(ctx, { place: 'cart', type: 'success', message: 'The cart is empty' })
  })

  router.post('/devices/revoke', signedIn, async ctx => {
    const { key: own, user = '' } = ctx.session
    const key = (await readForm(ctx)).get('key')
    // Revoke only the user's own sessions: a key is no secret, so knowing it gives no right.
    for await (const device of sessions.list(user)) {
      if (device.key !== key) continue
      if (key === own) await ctx.session.destroy()
      else await sessions.revoke(key)
      const message = `Signed out ${device.data.device ?? unnamed}`
      return back(ctx, { place: key === own ? 'site' : 'devices', type: 'success', message })
    }
    back(ctx, { place: 'devices', type: 'error', message: 'You have no such device, or it was signed out before' })
  })

  router.post('/devices/revoke-others', signedIn, async ctx => {
    const { key: own, user = '' } = ctx.session
    const count = await sessions.revokeAll(user, { except: own })
    const message =
      count === 0 ? 'No other device was signed in' : `Signed out ${count} other ${count === 1 ? 'device' : 'devices'}`
    back(ctx, { place: 'devices', type: 'success', message })
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

/** Leads a visitor whose session has ended back to signing in. */
async function signedIn(ctx: Context, next: Next): Promise<void> {
  if (ctx.session.user === undefined) return seeOther(ctx, '/?signed-out')
  await next()
}

async function readRace(ctx: Context): Promise<Race> {
  const name = (await readForm(ctx)).get('race')
  return races.find(race => race === name) ?? ctx.throw(400)
}

function portOf(ctx: Context): number {
  return ctx.socket.localPort ?? ctx.throw(500)
}

/** Shows the outcome of a form, and leads back to the element with the id `at`: what was pressed, if it is still there. */
function back(ctx: Context, message: Message, at: string = message.place): void {
  ctx.flash(message)
  seeOther(ctx, `/#${at}`)
}

/** 303 makes the browser follow a form with a GET. */
function seeOther(ctx: Context, path: string): void {
  ctx.status = 303
  ctx.redirect(path)
}
