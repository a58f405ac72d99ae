import { inspect } from 'node:util'
import { patient } from '@koa-session/behaviour/patience'
import type { ExecutionContext } from 'ava'
import fc from 'fast-check'
import {
  isSessionError,
  memoryStore,
  SessionError,
  type SessionErrorCode,
  type SessionOptions,
  type SessionRecord,
  type Store,
  session,
} from 'koa-session-core'
import { reasonOf } from '../../dist/reason.js'
import { type Handler, type Operation, site, watched } from '../support/app.js'
import { test } from '../support/test.js'

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
  const path = '../../dist/errors.js?a-second-copy'
  const second = (await import(path)) as typeof import('../../src/errors.js')
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

test.serial(
  'a commit that lost is ERR_SESSION_CONFLICT although the process was busy until storeTimeout had passed',
  async t => {
    const inner = memoryStore()
    let reads = 0
    const store: Store = {
      ...inner,
      async read(key, call) {
        const record = await inner.read(key, call)
        if (++reads < 3 || !record) return record
        const end = performance.now() + 650
        while (performance.now() < end);
        return { ...record, version: 'other' }
      },
      write: async (key, record, expected, call) => reads === 0 && inner.write(key, record, expected, call),
    }
    const { client, errors } = await site(t, ctx => void (ctx.session.n = Math.random()), { store, storeTimeout: 600 })
    const one = client()
    await one.get('/')
    reads = 1
    t.is((await one.get('/')).status, 503)
    t.is(reads, 3)
    t.deepEqual(
      errors.map(({ code }) => code),
      ['ERR_SESSION_CONFLICT'],
    )
  },
)

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

const handlers: Record<string, Handler> = {
  '/set': ctx => {
    ctx.session.user = 'lovelace-ada'
    ctx.session.note = 'the combination is 7-31-4'
  },
  '/get': ctx => ctx.session.user,
}

interface Call {
  readonly key: string
  readonly record?: SessionRecord
}

/** The error of a call on a store that rejects with `broken`. */
async function failureOf(t: ExecutionContext, broken: (call: Call) => unknown, path = '/set'): Promise<SessionError> {
  const seen: unknown[] = []
  const store: Store = {
    ...memoryStore(),
    name: 'broken',
    read: key => Promise.reject(broken({ key })),
    write: (key, record) => Promise.reject(broken({ key, record })),
  }
  const { client, errors } = await site(t, handlers, { store, subject: data => (data as { user?: string }).user })
  const headers = path === '/get' ? { cookie: `sid=${'A'.repeat(43)}` } : {}
  t.is((await client().get(path, { headers })).status, 503)
  seen.push(...errors)
  t.is(seen.length, 1)
  if (!isSessionError(seen[0])) throw seen[0]
  t.is(seen[0].code, 'ERR_SESSION_STORE')
  return seen[0]
}

const coded = (code: unknown, message: string, more: object = {}) =>
  Object.assign(new Error(message), { code, ...more })
const refused = (address: string) => coded('ECONNREFUSED', `connect ECONNREFUSED ${address}`, { syscall: 'connect' })
const both = () =>
  Object.assign(new AggregateError([refused('::1:6379'), refused('127.0.0.1:6379')]), { code: 'ECONNREFUSED' })

const reasons: [what: string, error: () => unknown, reason: string][] = [
  ['a refused port', () => refused('127.0.0.1:6379'), 'connect ECONNREFUSED 127.0.0.1:6379'],
  ['two refused addresses', both, 'connect ECONNREFUSED ::1:6379; connect ECONNREFUSED 127.0.0.1:6379'],
  [
    'a code beside the message',
    () => coded('28P01', 'password authentication failed'),
    '28P01: password authentication failed',
  ],
  ['a code that is a number', () => coded(18, 'Authentication failed.'), '18: Authentication failed.'],
  ['a code alone', () => coded('ENOSPC', ''), 'ENOSPC'],
  [
    'a cause that says more',
    () => new Error('gave up after 20 attempts', { cause: new Error('inner', { cause: both() }) }),
    'gave up after 20 attempts; inner; connect ECONNREFUSED ::1:6379; connect ECONNREFUSED 127.0.0.1:6379',
  ],
  ['a cause that says the same', () => new Error('no server', { cause: new Error('no server') }), 'no server'],
  ['a cause that is the error itself', () => circular(), 'round and round'],
  ['several lines', () => new Error('one\n\ttwo\r\n\u0007three'), 'one two three'],
  ['no message', () => new RangeError(), 'RangeError without a message'],
  ['no Error', () => 'a text', 'the store rejected with a value that is no Error'],
  ['nothing', () => undefined, 'the store rejected with a value that is no Error'],
  ['an object', () => ({}), 'no reason was given'],
  [
    'TLS on one side only',
    () =>
      coded(
        'ERR_SSL_WRONG_VERSION_NUMBER',
        'C0FE:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../deps/openssl/ssl3_record.c:354:\n',
      ),
    'ERR_SSL_WRONG_VERSION_NUMBER: SSL routines: wrong version number (only one side speaks TLS)',
  ],
]

function circular(): Error {
  const error = new Error('round and round')
  return Object.assign(error, { cause: error })
}

for (const [what, error, reason] of reasons) {
  test(`the message of a store failure ends with the driver's code and message: ${what}`, async t => {
    for (const [path, operation] of [
      ['/get', 'read'],
      ['/set', 'write'],
    ] as const) {
      const { message, stack, cause } = await failureOf(t, error, path)
      t.is(message, `store broken: ${operation} failed: ${reason}`)
      t.is(stack?.split('\n')[0], `SessionError [ERR_SESSION_STORE]: ${message}`, 'what the log of Koa begins with')
      t.true(cause instanceof Error && cause.message !== '')
    }
  })
}

test('cause is a copy with name, code and message, and nothing else', async t => {
  class DriverError extends Error {
    override name = 'DriverError'
    code = 'E_DRIVER'
    sql = 'SELECT hidden'
    constructor() {
      super('out of order', { cause: new Error('hidden') })
    }
  }
  const { cause } = await failureOf(t, () => new DriverError())
  t.like(cause as Error, { name: 'DriverError', message: 'out of order', code: 'E_DRIVER' })
  t.deepEqual(Object.keys(cause as Error), ['code'])
  t.notRegex(inspect(cause, { depth: 9, showHidden: true }), /hidden/)
})

test('an error that cannot be read is a failure like any other', async t => {
  const hostile = new Proxy(new Error('x'), {
    get() {
      throw new Error('hidden')
    },
  })
  t.is((await failureOf(t, () => hostile)).message, 'store broken: write failed: no reason was given')
})

/** Sentences of drivers around what they were given. */
const sentences: ((text: string) => string)[] = [
  text => text,
  text => `ERR unknown command 'evalsha', with args beginning with: '${text}' '1' `,
  text => `E11000 duplicate key error collection: app.sessions index: _id_ dup key: { _id: "${text}" }`,
  text => `Duplicate entry '${text}' for key 'PRIMARY'`,
  text => `Incorrect string value: '${text}' for column 'data' at row 1`,
  text => `You have an error in your SQL syntax near '${text}' at line 1`,
  text => `invalid input syntax for type bigint: "${text}"`,
  text => `value "${text}" is out of range for type bigint`,
  text => `Failing row contains (${text}, 1).`,
  text => `Key (key)=(${text}) already exists.`,
  text => `cannot store ${JSON.stringify({ text })} now`,
  text => `cannot store ${text}`,
  text => `EACCES: permission denied, open '/srv/sessions/${text}/x'`,
]

test('nothing of keys, data, subjects and versions is said, however a driver says it', async t => {
  const secret = 'lovelace-ada'
  const pieces: ((call: Call) => string)[] = [
    ({ key }) => key,
    ({ key }) => key.slice(0, 20),
    ({ record }) => record?.data ?? '',
    ({ record }) => record?.data.slice(20, 60) ?? '',
    ({ record }) => record?.subject ?? '',
    () => 'the combination is 7-31-4',
    () => secret,
    () => 'A'.repeat(20) + secret.repeat(2),
  ]
  for (const [n, sentence] of sentences.entries()) {
    for (const [m, piece] of pieces.entries()) {
      let given: Call = { key: '' }
      const error = await failureOf(t, call => {
        given = call
        const text = sentence(piece(call))
        return Object.assign(new Error(text, { cause: new Error(text) }), { code: piece(call), name: piece(call) })
      })
      const said = inspect(error, { depth: 9, showHidden: true })
      const { key, record } = given
      for (const hidden of [secret, 'combination is', key.slice(0, 16), record?.subject?.slice(0, 16) ?? key]) {
        t.false(said.includes(hidden), `sentence ${n}, piece ${m}: ${said}`)
      }
    }
  }
})

test('no message quotes twelve characters of the data', t => {
  const property = fc.property(
    fc.string({ minLength: 12, maxLength: 80 }),
    fc.nat(),
    fc.string({ maxLength: 60 }),
    fc.string({ maxLength: 60 }),
    (data, start, before, after) => {
      const from = start % (data.length - 11)
      const reason = reasonOf(new Error(before + data.slice(from) + after), data)
      for (let n = 0; n + 12 <= data.length; n++) {
        const part = data.slice(n, n + 12)
        if (reason.includes(part)) throw new Error(`${JSON.stringify(part)} is in ${reason}`)
      }
    },
  )
  t.notThrows(() => fc.assert(property, { numRuns: 2_000 }))
})

test('passwords in URLs are not said, and of a long message no more than 400 characters', async t => {
  const long = await failureOf(
    t,
    () => new Error(`cannot reach redis://user:hid/d#en@127.0.0.1:1 ${'because '.repeat(1_000)}`),
  )
  t.regex(long.message, /cannot reach redis:\/\/…@127\.0\.0\.1:1 because/)
  t.true(long.message.length < 450)
  t.true((long.cause as Error).message.length < 450)
  const nested = Array.from({ length: 50 }, (_, n) => new Error(`${n} ${'x '.repeat(300)}`))
  t.true((await failureOf(t, () => new AggregateError(nested))).message.length < 450)
})

test('a quoted text that is not in the data is shown, because it names what to fix', async t => {
  for (const text of [
    'relation "app_sessions" does not exist',
    "Access denied for user 'web'@'localhost' (using password: YES)",
    "Table 'app.sessions' doesn't exist",
    'no pg_hba.conf entry for host "127.0.0.1", user "web", database "app", no encryption',
    'getaddrinfo ENOTFOUND redis.internal',
    "EACCES: permission denied, mkdir '/srv/sessions/0f'",
  ]) {
    t.is((await failureOf(t, () => new Error(text))).message, `store broken: write failed: ${text}`)
  }
})

test('a timeout says what the store said before, until a call succeeds', async t => {
  const inner = memoryStore()
  let mode: 'fails' | 'hangs' | 'works' = 'hangs'
  const store: Store = {
    ...inner,
    name: 'slow',
    async read(key, call) {
      if (mode === 'hangs') return new Promise(() => {})
      if (mode === 'fails') throw refused('127.0.0.1:6379')
      return inner.read(key, call)
    },
  }
  const { client, errors } = await site(t, handlers, { store, storeTimeout: 100 })
  const headers = { cookie: `sid=${'A'.repeat(43)}` }
  const message = async (next: typeof mode) => {
    mode = next
    await client().get('/get', { headers })
    return errors.pop()?.message
  }
  const late = 'store slow: read did not end within storeTimeout (100 ms)'
  t.is(await message('hangs'), late)
  t.regex((await message('fails')) ?? '', /connect ECONNREFUSED 127\.0\.0\.1:6379$/)
  t.is(await message('hangs'), `${late}; the last error was connect ECONNREFUSED 127.0.0.1:6379`)
  t.is(await message('works'), undefined)
  t.is(await message('hangs'), late)
})

test('the next timeout reports the error of a call that timed out before', async t => {
  const store: Store = {
    ...memoryStore(),
    name: 'late',
    read: () => new Promise((_, reject) => setTimeout(reject, 150, refused('127.0.0.1:6379'))),
  }
  const { client, errors } = await site(t, handlers, { store, storeTimeout: 100 })
  const headers = { cookie: `sid=${'A'.repeat(43)}` }
  await client().get('/get', { headers })
  await new Promise(resolve => setTimeout(resolve, 300))
  await client().get('/get', { headers })
  t.regex(errors[1]?.message ?? '', /within storeTimeout \(100 ms\); the last error was connect ECONNREFUSED/)
})
