import Router from '@koa/router'
import Koa, { type Context, type Middleware, type Next } from 'koa'
import { type Flash, type MaxAge, type Session, type SessionData, session } from 'koa-session-core'

declare module 'koa-session-core' {
  interface SessionData {
    userId?: number
    cart?: { items: string[] }
  }
}

/** Compiles when both are the same type, and neither is `any`. */
function same<Expected>() {
  return <Actual>(_value: Actual, ..._differs: Same<Actual, Expected> extends true ? [] : [never]): void => {}
}
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

// The check itself: it must tell `any` and near misses from the real thing.
same<number | undefined>()(1 as number | undefined)
// @ts-expect-error any is not number
same<number>()(JSON.parse('1'))
// @ts-expect-error number is not number | undefined
same<number | undefined>()(1 as number)

const app = new Koa()
app.use(session({ subject: data => data.userId?.toString() }))

app.use(async (ctx, next) => {
  same<number | undefined>()(ctx.session.userId)
  same<Session>()(ctx.session)
  same<Flash>()(ctx.flash)
  ctx.session.userId = 123
  ctx.session.cart = { items: ['a'] }
  delete ctx.session.userId
  // @ts-expect-error a wrong type
  ctx.session.userId = '123'
  // @ts-expect-error a wrong nested type
  ctx.session.cart = { items: [1] }
  // @ts-expect-error a misspelt property
  void ctx.session.userID
  await next()
})

app.use(async ctx => {
  same<string>()(ctx.session.id)
  same<string>()(ctx.session.key)
  same<boolean>()(ctx.session.isNew)
  same<number>()(ctx.session.createdAt)
  same<number>()(ctx.session.expiresAt)
  same<MaxAge>()(ctx.session.maxAge)
  same<void>()(ctx.session.clear())
  same<boolean>()(await ctx.session.rotateId())
  same<boolean>()(await ctx.session.save())
  same<void>()(await ctx.session.regenerate())
  same<void>()(await ctx.session.destroy())
  same<boolean>()(
    await ctx.session.update(data => {
      same<SessionData>()(data)
      data.userId = (data.userId ?? 0) + 1
    }),
  )
  ctx.session.save(error => void error)
  ctx.session.regenerate(error => void error)
  ctx.session.destroy(() => {})
  ctx.session.maxAge = 'session'
  ctx.session.maxAge = 60_000

  // @ts-expect-error a wrong term
  ctx.session.maxAge = '1 hour'
  // @ts-expect-error update needs a function
  ctx.session.update()
  ctx.session.update(data => {
    // @ts-expect-error a wrong type
    data.userId = '1'
  })
})

app.use(ctx => {
  // @ts-expect-error a member
  ctx.session.id = 'mine'
  // @ts-expect-error a member
  ctx.session.key = 'mine'
  // @ts-expect-error a member
  ctx.session.isNew = true
  // @ts-expect-error a member
  ctx.session.createdAt = 0
  // @ts-expect-error a member
  ctx.session.expiresAt = 0
  // @ts-expect-error a member
  ctx.session.clear = () => {}
  // @ts-expect-error a member
  ctx.session.rotateId = async () => true
  // @ts-expect-error a member
  ctx.session.regenerate = async () => {}
  // @ts-expect-error a member
  ctx.session.destroy = async () => {}
  // @ts-expect-error a member
  ctx.session.save = async () => true
  // @ts-expect-error a member
  ctx.session.update = async () => true
})

app.use(ctx => {
  ctx.session = { userId: 1 }
  ctx.session = {}
  ctx.session = { ...ctx.session, userId: 2 }
  ctx.session = null
  // Never null, also after that.
  same<number | undefined>()(ctx.session.userId)
  // @ts-expect-error a wrong type
  ctx.session = { userId: '1' }
  // @ts-expect-error a misspelt property
  ctx.session = { userID: 1 }
  // @ts-expect-error not an object
  ctx.session = 1
  // @ts-expect-error null is the word
  ctx.session = undefined
})

app.use(async ctx => {
  const { flash } = ctx
  same<void>()(flash('error', 'Wrong password'))
  same<void>()(ctx.flash({ any: 'thing' }))
  same<void>()(ctx.flash(undefined))
  same<unknown[]>()(await ctx.flash())
  same<string[]>()(await ctx.flash<string>())
  // @ts-expect-error a type is a string
  ctx.flash(1, 'message')
})

// However a middleware is written down.
const byType: Middleware = ctx => same<number | undefined>()(ctx.session.userId)
const byContext = (ctx: Context, next: Next) => {
  same<number | undefined>()(ctx.session.userId)
  return next()
}
app.use(byType).use(byContext)

interface State {
  readonly started: number
}
interface Extra {
  readonly log: (text: string) => void
}
const typed = new Koa<State, Extra>()
typed.use(session())
typed.use(ctx => {
  same<number | undefined>()(ctx.session.userId)
  same<number>()(ctx.state.started)
})

const router = new Router()
router.use(async (ctx, next) => {
  same<number | undefined>()(ctx.session.userId)
  await next()
})
router.get('/:id', async ctx => {
  same<number | undefined>()(ctx.session.userId)
  same<Flash>()(ctx.flash)
  ctx.session.userId = 1
  ctx.session = null
  // @ts-expect-error a wrong type
  ctx.session.userId = '1'
  // @ts-expect-error a misspelt property
  void ctx.session.userID
})
router.post('/', byContext, async ctx => {
  same<boolean>()(await ctx.session.rotateId())
  ctx.body = ctx.session.userId
})
const typedRouter = new Router<State, Extra>()
typedRouter.get('/', ctx => same<number | undefined>()(ctx.session.userId))
app.use(router.routes()).use(router.allowedMethods())
