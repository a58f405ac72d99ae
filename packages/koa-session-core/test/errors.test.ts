import { inspect } from 'node:util'
import { patient } from '@koa-session/behaviour/patience'
import test from 'ava'
import {
  isSessionError,
  memoryStore,
  SessionError,
  type SessionErrorCode,
  type SessionOptions,
  type Store,
  session,
} from 'koa-session-core'
import { type Handler, type Operation, site, watched } from './support/app.js'

const statuses: Record<SessionErrorCode, number> = {
  ERR_SESSION_STORE: 503,
  ERR_SESSION_TIMEOUT: 503,
  ERR_SESSION_CONFLICT: 503,
  ERR_SESSION_DECODE: 500,
  ERR_SESSION_ENCODE: 500,
  ERR_SESSION_TOO_LARGE: 500,
  ERR_SESSION_HEADERS_SENT: 500,
}

test('a SessionError has a stable code, the status of its code, and expose is false', t => {
  for (const [code, status] of Object.entries(statuses)) {
    const error = new SessionError(code as SessionErrorCode, 'what happened')
    t.true(error instanceof Error)
    t.like(error, { name: 'SessionError', message: 'what happened', code, status, expose: false })
    t.deepEqual(error.headers, status === 503 ? { 'Retry-After': '1' } : undefined, code)
    t.is(error.cause, undefined)
    t.false('cause' in error)
    t.true(isSessionError(error))
    t.regex(String(error), /^SessionError: what happened$/)
    // Koa logs the stack and nothing else.
    t.is(error.stack?.split('\n')[0], `SessionError [${code}]: what happened`)
  }
})

test('isSessionError survives two installed copies', async t => {
  const path = '../dist/errors.js?a-second-copy'
  const second = (await import(path)) as typeof import('../src/errors.js')
  t.not(second.SessionError, SessionError)
  const foreign = new second.SessionError('ERR_SESSION_CONFLICT', 'theirs')
  t.false(foreign instanceof SessionError)
  t.true(isSessionError(foreign))
  t.true(second.isSessionError(new SessionError('ERR_SESSION_STORE', 'ours')))
  t.is(new SessionError('ERR_SESSION_STORE', 'x', foreign).cause, foreign, 'it has been scrubbed already')
})

test('isSessionError takes nothing else for one', t => {
  const lookalike = Object.assign(new Error('x'), { code: 'ERR_SESSION_STORE', name: 'SessionError', status: 503 })
  const others = [lookalike, new Error('x'), new TypeError('x'), { ...new SessionError('ERR_SESSION_STORE', 'x') }]
  for (const other of [
    ...others,
    null,
    undefined,
    0,
    'ERR_SESSION_STORE',
    Symbol('x'),
    () => {},
    {},
    new Proxy({}, {}),
  ]) {
    t.false(isSessionError(other), inspect(other))
  }
})

interface Fault {
  readonly code: SessionErrorCode
  /** The store's behaviour for the calls of the second request. */
  readonly store?: (operation: Operation) => unknown
  readonly act?: Handler
  readonly options?: SessionOptions
  readonly calls: readonly Operation[]
}

const hang = () => new Promise(() => {})
const faults: Record<string, Fault> = {
  'a store that rejects a read': {
    code: 'ERR_SESSION_STORE',
    store: () => Promise.reject(new Error('the driver says a secret')),
    calls: ['read'],
  },
  'a store that hangs': {
    code: 'ERR_SESSION_TIMEOUT',
    store: hang,
    options: { storeTimeout: patient(200) },
    calls: ['read'],
  },
  'a commit that hangs': {
    code: 'ERR_SESSION_TIMEOUT',
    store: operation => (operation === 'write' ? hang() : undefined),
    options: { storeTimeout: patient(200) },
    calls: ['read', 'write'],
  },
  'data that cannot be encoded': {
    code: 'ERR_SESSION_ENCODE',
    act: ctx => {
      ctx.session.secret = () => 'a secret'
    },
    calls: ['read'],
  },
  'data larger than maxBytes': {
    code: 'ERR_SESSION_TOO_LARGE',
    act: ctx => {
      ctx.session.secret = 'x'.repeat(200)
    },
    options: { maxBytes: 150 },
    calls: ['read'],
  },
}

for (const [what, { code, store: fault, act, options, calls }] of Object.entries(faults)) {
  test(`${what} is ${code}: status ${statuses[code]}, and the client is told no more`, async t => {
    const store = watched(memoryStore())
    const seen: unknown[] = []
    const { client, errors } = await site(
      t,
      async ctx => {
        ctx.session.n = (ctx.session.n ?? 0) + 1
        await act?.(ctx, async () => {})
      },
      {
        store,
        ...options,
        before: app =>
          app.use(async (_ctx, next) => {
            try {
              await next()
            } catch (error) {
              seen.push(error)
              throw error
            }
          }),
      },
    )
    const one = client()
    const before = act ? undefined : (await one.get('/')).status
    if (!act) t.is(before, 204)
    else one.jar.set('sid', 'A'.repeat(43))
    store.calls.length = 0
    store.before = fault
    const reply = await one.get('/')
    store.before = undefined
    t.is(reply.status, statuses[code])
    t.is(reply.text, reply.status === 503 ? 'Service Unavailable' : 'Internal Server Error')
    t.is(reply.headers.get('retry-after'), reply.status === 503 ? '1' : null)
    t.deepEqual(reply.cookies, [])
    t.false(inspect([...reply.headers]).includes('secret'))
    t.deepEqual(store.calls, calls)
    t.is(seen.length, 1, 'the app sees it')
    const [error] = seen
    t.true(isSessionError(error) && error.code === code && error.expose === false)
    t.deepEqual(errors, seen, 'and hears of it once')
  })
}

test('a store that throws before it returns a promise is ERR_SESSION_STORE as well', async t => {
  const broken = () => {
    throw new Error('the driver says a secret')
  }
  const store: Store = { ...memoryStore(), read: broken, write: broken }
  const { client, errors } = await site(t, ctx => void (ctx.session.n = 1), { store })
  for (const cookie of ['', `sid=${'A'.repeat(43)}`]) {
    const reply = await client().get('/', { headers: { cookie } })
    t.is(reply.status, 503)
    t.is(errors.pop()?.code, 'ERR_SESSION_STORE')
  }
})

test('a commit that keeps losing is ERR_SESSION_CONFLICT when storeTimeout has passed', async t => {
  const inner = memoryStore()
  let version = 0
  let losing = false
  const store: Store = {
    ...inner,
    async read(key, call) {
      const record = await inner.read(key, call)
      return record && losing ? { ...record, version: `other-${version++}` } : record
    },
    write: async (key, record, expected, call) => !losing && inner.write(key, record, expected, call),
  }
  const { client, errors } = await site(t, ctx => void (ctx.session.n = Math.random()), {
    store,
    storeTimeout: patient(1_000),
  })
  const one = client()
  await one.get('/')
  losing = true
  const reply = await one.get('/')
  t.is(reply.status, 503)
  t.is(reply.text, 'Service Unavailable')
  t.is(reply.headers.get('retry-after'), '1')
  t.deepEqual(
    errors.map(({ code }) => code),
    ['ERR_SESSION_CONFLICT'],
  )
  t.true(version > 2, 'it did try again')
  losing = false
  t.is((await one.get('/')).status, 204)
})

test('a stored record that cannot be understood is ERR_SESSION_DECODE to onError, not to the user', async t => {
  const inner = memoryStore()
  const store: Store = {
    ...inner,
    async read(key, call) {
      const record = await inner.read(key, call)
      return record && { ...record, data: 'of another program' }
    },
  }
  const heard: [unknown, unknown][] = []
  const { client, errors } = await site(t, ctx => (ctx.session.n = 1), {
    store,
    onError: (error, ctx) => void heard.push([error, ctx?.path]),
  })
  const one = client()
  await one.get('/first')
  t.is((await one.get('/second')).status, 200)
  t.deepEqual(errors, [], 'onError takes the place of the event')
  t.is(heard.length, 1)
  t.true(isSessionError(heard[0]?.[0]) && heard[0][0].code === 'ERR_SESSION_DECODE')
  t.is(heard[0]?.[1], '/second')
})

test('a new session after the headers have left is ERR_SESSION_HEADERS_SENT', async t => {
  const rejected: unknown[] = []
  const store = watched(memoryStore())
  const { client, errors } = await site(
    t,
    {
      '/write': ctx => {
        ctx.session.n = 1
        ctx.res.flushHeaders()
      },
      '/save': async ctx => {
        ctx.session.n = 1
        ctx.res.flushHeaders()
        rejected.push(await ctx.session.save().catch((error: unknown) => error))
      },
    },
    { store },
  )
  await client().get('/write')
  t.deepEqual(
    errors.map(({ code }) => code),
    ['ERR_SESSION_HEADERS_SENT'],
  )
  await client().get('/save')
  t.true(isSessionError(rejected[0]) && rejected[0].code === 'ERR_SESSION_HEADERS_SENT')
  t.deepEqual(store.calls, [])
})

test('programmer mistakes are a TypeError without a code of ours', async t => {
  const mistakes: Record<string, Handler> = {
    '/member': ctx => {
      Object.assign(ctx.session, { id: 'mine' })
    },
    '/list': ctx => {
      ctx.session = [] as never
    },
    '/promise': ctx => ctx.session.update(async () => {}),
    '/nothing': ctx => ctx.session.update(undefined as never),
    '/age': ctx => {
      ctx.session.maxAge = -1
    },
    '/subject': ctx => {
      ctx.session.user = 5
    },
  }
  const { client, errors, sessions } = await site(t, mistakes, {
    subject: data => (data as { user?: string }).user,
  })
  for (const path of Object.keys(mistakes)) {
    const reply = await client().get(path)
    t.is(reply.status, 500, path)
    t.deepEqual(reply.cookies, [])
    const error = errors.pop()
    t.true(error instanceof TypeError, `${path}: ${error?.stack}`)
    t.false(isSessionError(error))
    t.is(error?.code, undefined)
    t.is(errors.length, 0)
  }
  await t.throwsAsync(sessions.revoke('x'), { instanceOf: TypeError })
  t.throws(() => session({ store: 5 as never }), { instanceOf: TypeError })
})

test('a subject of a wrong type is a TypeError that names it', async t => {
  const wrong = {
    null: null,
    'a number': 5,
    'an empty string': '',
    'a Promise, which must be awaited first': Promise.resolve('ann'),
  }
  for (const [got, value] of Object.entries(wrong)) {
    const { client, errors } = await site(
      t,
      ctx => {
        ctx.session.a = 1
      },
      { subject: () => value as never },
    )
    t.is((await client().get('/')).status, 500)
    t.is(errors[0]?.message, `session(): option subject must return a non-empty string or undefined, got ${got}`)
  }
})
