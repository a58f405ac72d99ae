import { setTimeout } from 'node:timers/promises'
import Router from '@koa/router'
import type { Context } from 'koa'
import { type SessionData, type Store, session } from 'koa-session-core'
import { Meetings } from './meeting.js'
import { ordinarySession } from './ordinary-session.js'

/** So many requests are sent at once. */
export const requests = 20
/** How long after the sign-out the slow request ends, in milliseconds. */
const slow = 600

/** The outcome of a race, as a visitor's session shows it. */
export interface Outcome {
  readonly kept: number
  readonly isSignedIn: boolean
}

export const kinds = ['ordinary', 'ours'] as const
export type Kind = (typeof kinds)[number]

type Data = Record<string, unknown>

/** The same handlers on an ordinary session and on one of koa-session-core. */
export function raceRoutes(store: Store): Router {
  const router = new Router({ prefix: '/race' })
  const meetings = new Meetings()
  const visitor = (ctx: Context) => ctx.get('Cookie')
  const add = (kind: Kind, read: (ctx: Context) => Data, write: (ctx: Context, data: null | Data) => void) => {
    router.get(`/${kind}`, ctx => {
      const data = read(ctx)
      const kept = Object.keys(data).filter(name => name.startsWith('request ')).length
      ctx.body = { kept, isSignedIn: data.visitor === true } satisfies Outcome
    })
    router.post(`/${kind}/sign-in`, ctx => {
      write(ctx, { visitor: true })
      ctx.status = 204
    })
    router.post(`/${kind}/request/:number`, async ctx => {
      const { number } = ctx.params
      if (!/^([1-9]|1\d|20)$/.test(String(number))) ctx.throw(404)
      await meetings.arrive(visitor(ctx), requests)
      // Something that takes a moment, such as a query.
      await setTimeout(800 * Math.random())
      read(ctx)[`request ${number}`] = true
      ctx.status = 204
    })
    router.post(`/${kind}/slow`, async ctx => {
      const signedOut = meetings.arrive(`${visitor(ctx)} signed out`, 2)
      await meetings.arrive(visitor(ctx), 2)
      await signedOut
      await setTimeout(slow)
      read(ctx).seen = true
      ctx.status = 204
    })
    router.post(`/${kind}/sign-out`, ctx => {
      write(ctx, null)
      ctx.status = 204
    })
  }
  // Outside of the sessions: the sign-out waits for the slow request, which goes on when the sign-out is stored.
  router.use(async (ctx, next) => {
    if (ctx.method !== 'POST' || !ctx.path.endsWith('/sign-out')) return next()
    await meetings.arrive(visitor(ctx), 2)
    await next()
    meetings.goOn(`${visitor(ctx)} signed out`)
  })
  router.use('/ordinary', ordinarySession())
  // A cookie of its own: a race does not sign the visitor out of the site.
  router.use('/ours', session({ store, cookie: { name: 'race' }, sweepInterval: 0 }))
  add(
    'ordinary',
    ctx => ctx.state.session,
    (ctx, data) => {
      ctx.state.session = data
    },
  )
  add(
    'ours',
    ctx => ctx.session as unknown as Data,
    (ctx, data) => {
      ctx.session = data as SessionData | null
    },
  )
  return router
}
