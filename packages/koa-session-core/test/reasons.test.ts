import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { isSessionError, memoryStore, type SessionError, type SessionRecord, type Store } from 'koa-session-core'
import { reasonOf } from '../dist/reason.js'
import { type Handler, site } from './support/app.js'

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
