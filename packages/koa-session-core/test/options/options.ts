import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import test from 'ava'
import fc from 'fast-check'
import Koa from 'koa'
import {
  type CookieOptions,
  headerTransport,
  jsonCodec,
  memoryStore,
  type SessionOptions,
  session,
} from 'koa-session-core'
import { OptionCheck, storeHints } from 'koa-session-core/store'
import { resolveOptions } from '../../dist/options.js'
import { runs } from '../support/runs.js'

const passphrase = 'a passphrase of more than 32 characters'
const key = new Uint8Array(32).fill(7)

/** The message of `session()` about options that the types do not allow. */
function refusal(options: unknown): Error | undefined {
  try {
    session(options as SessionOptions)
    return undefined
  } catch (error) {
    return error as Error
  }
}

const methodsOf = (names: string) => Object.fromEntries(names.split(' ').map(name => [name, () => {}]))
const storeMethods = methodsOf('read write touch destroy close')

/** Wrong values: option, value, the rule that the message must state, and the value as it must show it. */
const wrong: [option: string, value: unknown, rule: RegExp, shown: string][] = [
  ['store', null, /must have the methods read, write, touch, destroy, close, read is missing/, 'null'],
  ['store', 'redis', /must have the methods/, 'a string; a URL goes into a store'],
  ['store', { name: 'x', ...storeMethods, touch: 1 }, /touch is missing/, 'an object'],
  ['store', storeMethods, /must have a name/, 'an object'],
  ['store', { name: 'x', ...storeMethods, sweep: true }, /sweep is missing/, 'an object'],
  ['store', { name: 'x', ...storeMethods, keys: [] }, /keys is missing/, 'an object'],
  ['cookie', null, /takes an object of options/, 'null'],
  ['cookie', 'sid', /takes an object of options/, '"sid"'],
  ['cookie', [], /takes an object of options/, 'an array'],
  ['cookie.name', '', /must be a token/, '""'],
  ['cookie.name', 'a b', /must be a token/, '"a b"'],
  ['cookie.name', 'a=b', /must be a token/, '"a=b"'],
  ['cookie.name', 'a;b', /must be a token/, '"a;b"'],
  ['cookie.name', 'ü', /must be a token/, '"ü"'],
  ['cookie.name', 7, /must be a token/, '7'],
  ['cookie.path', 'app', /must begin with \//, '"app"'],
  ['cookie.path', '/a;b', /must begin with \//, '"/a;b"'],
  ['cookie.path', '/a\nb', /must begin with \//, '"/a\\nb"'],
  ['cookie.path', '/ü', /must begin with \//, '"/ü"'],
  ['cookie.path', null, /must begin with \//, 'null'],
  ['cookie.domain', 'a b', /must be a host name/, '"a b"'],
  ['cookie.domain', 'example.com; Secure', /must be a host name/, '"example.com; Secure"'],
  ['cookie.domain', '', /must be a host name/, '""'],
  ['cookie.domain', 5, /must be a host name/, '5'],
  ['cookie.httpOnly', 1, /must be true or false/, '1'],
  ['cookie.secure', 'yes', /must be true, false or 'auto'/, '"yes"'],
  ['cookie.secure', 0, /must be true, false or 'auto'/, '0'],
  ['cookie.sameSite', 'Lax', /must be 'strict', 'lax' or 'none'/, '"Lax"'],
  ['cookie.sameSite', false, /must be 'strict', 'lax' or 'none'/, 'false'],
  ['cookie.partitioned', 'yes', /must be true or false/, '"yes"'],
  ['cookie.priority', 'highest', /must be 'low', 'medium' or 'high'/, '"highest"'],
  ['idleTimeout', 0, /must be a whole number of milliseconds from 1 to/, '0'],
  ['idleTimeout', 1.5, /must be a whole number of milliseconds/, '1.5'],
  ['idleTimeout', '1h', /must be a whole number of milliseconds/, '"1h"'],
  ['idleTimeout', Number.NaN, /must be a whole number of milliseconds/, 'NaN'],
  ['idleTimeout', Number.POSITIVE_INFINITY, /must be a whole number of milliseconds/, 'Infinity'],
  ['idleTimeout', null, /must be a whole number of milliseconds/, 'null'],
  ['idleTimeout', 1e14, /must be a whole number of milliseconds/, '100000000000000'],
  ['absoluteTimeout', 0, /must be a whole number of milliseconds from 1 to \d+ or Infinity/, '0'],
  ['absoluteTimeout', Number.NEGATIVE_INFINITY, /or Infinity/, '-Infinity'],
  ['absoluteTimeout', null, /or Infinity/, 'null'],
  ['touchInterval', -1, /must be a whole number of milliseconds from 0 to/, '-1'],
  ['touchInterval', null, /must be a whole number of milliseconds/, 'null'],
  ['touchInterval', 3_600_000, /must be less than idleTimeout/, '3600000'],
  ['maxAge', 0, /must be 'session' or a whole number of milliseconds from 1 to/, '0'],
  ['maxAge', 'forever', /must be 'session' or a whole number/, '"forever"'],
  ['maxAge', null, /must be 'session' or a whole number/, 'null'],
  ['maxAge', Number.POSITIVE_INFINITY, /must be 'session' or a whole number/, 'Infinity'],
  ['subject', 'userId', /must be a function/, '"userId"'],
  ['subject', null, /must be a function/, 'null'],
  ['transport', null, /must have the methods read, write, read is missing/, 'null'],
  ['transport', methodsOf('read'), /write is missing/, 'an object'],
  ['transport', { ...methodsOf('read write'), vary: 5 }, /must have no vary, or a vary of header names/, '5'],
  [
    'transport',
    { ...methodsOf('read write'), vary: 'a\nb' },
    /must have no vary, or a vary of header names/,
    '"a\\nb"',
  ],
  ['codec', JSON.parse, /must have the methods stringify, parse, stringify is missing/, 'a function'],
  ['codec', methodsOf('stringify'), /parse is missing/, 'an object'],
  ['storeTimeout', 0, /must be a whole number of milliseconds from 1 to 2147483647/, '0'],
  ['storeTimeout', 2 ** 31, /must be a whole number of milliseconds/, '2147483648'],
  ['storeTimeout', null, /must be a whole number of milliseconds/, 'null'],
  ['storeFailure', 'ignore', /must be 'reject' or 'anonymous'/, '"ignore"'],
  ['storeFailure', null, /must be 'reject' or 'anonymous'/, 'null'],
  ['maxSessionsPerSubject', 0, /must be a positive whole number or Infinity/, '0'],
  ['maxSessionsPerSubject', 1.5, /must be a positive whole number or Infinity/, '1.5'],
  ['maxSessionsPerSubject', '5', /must be a positive whole number or Infinity/, '"5"'],
  ['maxSessionsPerSubject', null, /must be a positive whole number or Infinity/, 'null'],
  ['maxBytes', 0, /must be a whole number of bytes from 1 to/, '0'],
  ['maxBytes', '1MB', /must be a whole number of bytes/, '"1MB"'],
  ['maxBytes', null, /must be a whole number of bytes/, 'null'],
  ['sweepInterval', -1, /must be a whole number of milliseconds from 0 to 2147483647/, '-1'],
  ['sweepInterval', 2 ** 31, /must be a whole number of milliseconds/, '2147483648'],
  ['sweepInterval', null, /must be a whole number of milliseconds/, 'null'],
  ['onError', console, /must be a function/, 'an object'],
]

test('a wrong option is a TypeError at construction naming option, rule and value', t => {
  for (const [option, value, rule, shown] of wrong) {
    const [outer, inner] = option.split('.') as [string, string | undefined]
    const error = refusal({ [outer]: inner === undefined ? value : { [inner]: value } })
    const what = `${option}: ${inspect(value)}`
    t.true(error instanceof TypeError, what)
    t.true(error?.message.startsWith(`session(): option ${option} `), `${what}: ${error?.message}`)
    t.regex(error?.message ?? '', rule, what)
    t.true(error?.message.includes(`, got ${shown}`), `${what}: ${error?.message}`)
  }
})

test('a wrong option is never named with the value of encryptionKeys', t => {
  const values = ['short secret', [], ['short secret'], [passphrase, 'short secret'], [new Uint8Array(31)], null, 5]
  const holes: unknown[] = [passphrase]
  holes.length = 2
  for (const encryptionKeys of [...values, holes, passphrase, key, { 0: key, length: 1 }, [5], [[...key]]]) {
    const error = refusal({ encryptionKeys })
    t.true(error instanceof TypeError, inspect(encryptionKeys))
    t.is(
      error?.message,
      'session(): option encryptionKeys must be an array of keys, each 32 bytes or a passphrase of 32 or more ' +
        'characters (the value is not shown)',
    )
  }
  for (const options of [{ encryptionKey: passphrase }, { keys: passphrase }, { secret: passphrase }]) {
    const error = refusal(options)
    t.true(error instanceof TypeError)
    t.false(error?.message.includes('passphrase'), 'nor is a secret under a misspelt name')
  }
})

test('an unknown option is a TypeError at construction naming it and what is meant, never its value', t => {
  const cases: [unknown, RegExp][] = [
    [{ idletimeout: 5 }, /^session\(\): option idletimeout is unknown: did you mean idleTimeout\?$/],
    [{ idel_timeout: 5 }, /^session\(\): option idel_timeout is unknown: did you mean idleTimeout\?$/],
    [{ colour: 7 }, /^session\(\): option colour is unknown; the options are store, cookie, idleTimeout,[^7]*$/],
    [{ rolling: undefined }, /^session\(\): option rolling is unknown: a session in use is renewed by itself/],
    [JSON.parse('{"__proto__":{"store":1}}'), /option __proto__ is unknown/],
    [
      { cookie: { samesite: 'lax' } },
      /^session\(\): option cookie.samesite is unknown: did you mean cookie.sameSite\?$/,
    ],
    [
      { cookie: { colour: 7 } },
      /^session\(\): option cookie.colour is unknown; the options are cookie.name, cookie.path/,
    ],
    [null, /^session\(\) takes an object of options, got null$/],
    [[], /^session\(\) takes an object of options, got an array$/],
    ['sid', /^session\(\) takes an object of options, got a string$/],
    [() => {}, /^session\(\) takes an object of options, got a function$/],
    // Objects that hold nothing in properties would count as no options at all.
    [Promise.resolve({}), /^session\(\) takes an object of options, got a Promise, which must be awaited first$/],
    [new Map([['store', 1]]), /^session\(\) takes an object of options, got a Map$/],
    [new Date(), /^session\(\) takes an object of options, got a Date$/],
    [{ cookie: Promise.resolve({}) }, /option cookie takes an object of options, got a Promise, which must be awaited/],
    [{ cookie: new Map() }, /option cookie takes an object of options, got a Map$/],
    [{ adopt: Promise.resolve({}) }, /option adopt takes an object of options, got a Promise, which must be awaited/],
  ]
  for (const [options, message] of cases) {
    const error = refusal(options)
    t.true(error instanceof TypeError, inspect(options))
    t.regex(error?.message ?? '', message)
  }
})

test('prefix rules are checked at construction, and sameSite none needs secure', t => {
  const good: CookieOptions[] = [
    { name: '__Host-id', secure: true },
    { name: '__Secure-id', secure: true, path: '/app', domain: 'example.com' },
    { name: '__hostile' },
    { sameSite: 'none', secure: true },
    { partitioned: true },
  ]
  for (const cookie of good) t.is(refusal({ cookie }), undefined, inspect(cookie))
  const bad: [CookieOptions, RegExp][] = [
    [{ name: '__Host-id' }, /option cookie.secure must be true with the name __Host-id, got "auto"/],
    [{ name: '__Host-id', secure: false }, /option cookie.secure must be true with the name __Host-id, got false/],
    [{ name: '__Host-id', secure: true, path: '/app' }, /cookie.path must be \/ with the name __Host-id, got "\/app"/],
    [
      { name: '__Host-id', secure: true, domain: 'a.b' },
      /cookie.domain must be absent with the name __Host-id, got "a.b"/,
    ],
    [{ name: '__host-id' }, /option cookie.secure must be true with the name __host-id/],
    [{ name: '__Secure-id' }, /option cookie.secure must be true with the name __Secure-id/],
    [{ name: '__SECURE-id', secure: false }, /option cookie.secure must be true with the name __SECURE-id/],
    [{ sameSite: 'none' }, /option cookie.secure must be true with cookie.sameSite 'none', got "auto"/],
    [{ sameSite: 'none', secure: false }, /option cookie.secure must be true with cookie.sameSite 'none', got false/],
    [{ partitioned: true, secure: false }, /option cookie.secure must not be false with cookie.partitioned, got false/],
  ]
  for (const [cookie, message] of bad) {
    const error = refusal({ cookie })
    t.true(error instanceof TypeError, inspect(cookie))
    t.regex(error?.message ?? '', message)
  }
})

test('transport and cookie are two ways to carry the id: giving both is a TypeError', t => {
  const error = refusal({ transport: headerTransport({ name: 'X-Session' }), cookie: {} })
  t.true(error instanceof TypeError)
  t.regex(error?.message ?? '', /option cookie has no effect beside transport/)
})

test('headerTransport refuses a wrong or unknown option with a TypeError naming option, rule and value', t => {
  for (const [options, message] of [
    [{ name: '' }, /headerTransport\(\): option name must be a header name, got ""/],
    [{ name: 'a:b' }, /option name must be a header name, got "a:b"/],
    [{}, /option name must be a header name, got undefined/],
    [{ name: 'X', vary: 'X' }, /^headerTransport\(\): option vary is unknown; the options are name$/],
    [undefined, /headerTransport\(\) takes an object of options, got undefined/],
  ] as const) {
    t.throws(() => headerTransport(options as never), { instanceOf: TypeError, message })
  }
})

test('without options every default is in place', t => {
  const { adopt, codec, keyOf, onError, seal, store, subjectOf, transport, ...plain } = resolveOptions({})
  t.deepEqual(plain, {
    isDefaultStore: true,
    idleTimeout: 3_600_000,
    absoluteTimeout: 86_400_000,
    touchInterval: 60_000,
    maxAge: 'session',
    storeTimeout: 5_000,
    storeFailure: 'reject',
    maxSessionsPerSubject: Number.POSITIVE_INFINITY,
    maxBytes: 1_048_576,
    sweepInterval: 300_000,
  })
  t.is(store.name, 'memory')
  t.is(transport.vary, 'Cookie')
  t.is(keyOf, transport.keyOf)
  t.is(codec.encode({ a: 1 }), '{"a":1}')
  t.is(seal.seal('text', ''), 'text')
  t.is(subjectOf, undefined)
  t.is(adopt, undefined)
  t.is(onError, undefined)
  const explicit = Object.fromEntries([...Object.keys(plain), 'store', 'cookie'].map(name => [name, undefined]))
  delete explicit.isDefaultStore
  t.is(resolveOptions(explicit).idleTimeout, 3_600_000, 'undefined is as good as absent')
})

test('maxSessionsPerSubject needs the option subject, and a store that lists', t => {
  const subject = () => undefined
  const { keys: _keys, ...store } = memoryStore()
  for (const [options, message] of [
    [{}, /option maxSessionsPerSubject needs the option subject/],
    [{ subject, store }, /option maxSessionsPerSubject needs a store that lists its sessions, by the method keys/],
    [{ subject, store: memoryStore() }, undefined],
  ] as const) {
    const refused = refusal({ ...options, maxSessionsPerSubject: 3 })
    if (message) t.regex(`${refused}`, message)
    else t.is(refused, undefined)
  }
})

test('touchInterval is by default a tenth of idleTimeout, at most 60 s', t => {
  for (const [idleTimeout, touchInterval] of [
    [1, 0],
    [1_005, 100],
    [600_000, 60_000],
    [86_400_000, 60_000],
  ] as const) {
    t.is(resolveOptions({ idleTimeout }).touchInterval, touchInterval)
  }
})

test('the ends of every range are allowed, and absoluteTimeout may be Infinity', t => {
  const allowed: SessionOptions[] = [
    { idleTimeout: 1 },
    { idleTimeout: 1e13, absoluteTimeout: 1e13 },
    { absoluteTimeout: Number.POSITIVE_INFINITY },
    { absoluteTimeout: 1 },
    { touchInterval: 0 },
    { idleTimeout: 10, touchInterval: 9 },
    { maxAge: 1 },
    { maxAge: 1e13 },
    { storeTimeout: 1 },
    { storeTimeout: 2 ** 31 - 1, sweepInterval: 2 ** 31 - 1 },
    { sweepInterval: 0 },
    { maxBytes: 1 },
    { maxSessionsPerSubject: Number.POSITIVE_INFINITY },
    { maxSessionsPerSubject: 1, subject: () => undefined },
    { encryptionKeys: ['x'.repeat(32), key, Buffer.alloc(32)] },
    { cookie: {} },
    { transport: { ...headerTransport({ name: 'a' }), vary: 'Authorization, X-Device' } },
  ]
  for (const options of allowed) t.is(refusal(options), undefined, inspect(options))
})

test('options are never mutated: a deeply frozen object works', t => {
  const cookie: CookieOptions = Object.freeze({ name: 'id', path: '/a', domain: 'example.com', secure: true })
  const encryptionKeys = Object.freeze([passphrase, key])
  const options: SessionOptions = Object.freeze({
    store: Object.freeze(memoryStore()),
    cookie,
    idleTimeout: 5_000,
    absoluteTimeout: 10_000,
    touchInterval: 100,
    maxAge: 5_000,
    subject: Object.freeze(() => undefined),
    codec: Object.freeze({ stringify: JSON.stringify, parse: JSON.parse }),
    encryptionKeys,
    storeTimeout: 1_000,
    storeFailure: 'anonymous',
    maxSessionsPerSubject: 5,
    maxBytes: 1_000,
    sweepInterval: 0,
    onError: Object.freeze(() => {}),
  })
  t.notThrows(() => session(options))
  t.notThrows(() => session(Object.freeze({ transport: Object.freeze(headerTransport(Object.freeze({ name: 'X' }))) })))
  t.true(key.every(byte => byte === 7))
})

/** Anything at all, and often what comes close to being right. */
const junk = fc.oneof(
  fc.anything({
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withObjectString: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
  }),
  fc.constantFrom<unknown>(Symbol('junk'), () => 1, class {}, new Proxy({}, {}), Object.create(null), null, -0, 1n),
  fc.integer({ min: -2, max: 2 ** 33 }),
  fc.double(),
  fc.dictionary(fc.constantFrom('name', 'read', 'write', 'secure', 'path', 'keys', '__proto__'), fc.anything()),
)

const options = [
  ...[
    'store',
    'cookie',
    'idleTimeout',
    'absoluteTimeout',
    'touchInterval',
    'maxAge',
    'subject',
    'transport',
    'adopt',
    'codec',
  ],
  ...['encryptionKeys', 'storeTimeout', 'storeFailure', 'maxBytes', 'sweepInterval', 'onError', 'unknown'],
  'maxSessionsPerSubject',
]
const cookieOptions = ['name', 'path', 'domain', 'httpOnly', 'secure', 'sameSite', 'partitioned', 'priority', 'unknown']

test('any value of any option is accepted or is a TypeError with the name of the option, never another error', t => {
  let accepted = 0
  const judge = (name: string, given: unknown) => {
    const error = refusal(given)
    if (error === undefined) accepted++
    else if (!(error instanceof TypeError) || !error.message.includes(`option ${name}`)) throw error
  }
  fc.assert(
    fc.property(fc.constantFrom(...options), junk, (name, value) => judge(name, { [name]: value })),
    { numRuns: runs(3_000) },
  )
  fc.assert(
    fc.property(fc.constantFrom(...cookieOptions), junk, (name, value) => {
      // Of two options that exclude each other, the message may name either.
      const other = name === 'partitioned' || name === 'sameSite' ? { secure: true } : {}
      judge('cookie.', { cookie: { ...other, [name]: value } })
    }),
    { numRuns: runs(2_000) },
  )
  t.true(accepted > runs(20) && accepted < runs(4_000), `${accepted} were accepted`)
})

/** Options of koa-session, koa-generic-session, express-session and cookie-session, and what the message must name. */
const foreign: Record<string, RegExp> = {
  key: /cookie\.name/,
  name: /cookie\.name/,
  keys: /encryptionKeys/,
  secret: /ids are not signed/,
  signed: /ids are not signed/,
  rolling: /is renewed by itself/,
  renew: /is renewed by itself/,
  ttl: /idleTimeout/,
  expires: /idleTimeout/,
  resave: /if it changed/,
  saveUninitialized: /once it holds data/,
  allowEmpty: /once it holds data/,
  autoCommit: /ctx\.session\.save\(\)/,
  autoManuallyCommit: /ctx\.session\.save\(\)/,
  overwrite: /replaces only its own name/,
  genid: /32 random bytes/,
  genSid: /32 random bytes/,
  externalKey: /headerTransport/,
  sessionIdStore: /transport/,
  ContextStore: /a Store/,
  prefix: /option of the store/,
  beforeSave: /middleware/,
  valid: /destroy\(\)/,
  encode: /codec/,
  decode: /codec/,
  errorHandler: /did you mean onError\?/,
  reconnectTimeout: /storeTimeout/,
  defer: /decoded when it is used/,
  unset: /ctx\.session = null/,
  proxy: /app\.proxy/,
  httpOnly: /cookie\.httpOnly/,
  sameSite: /cookie\.sameSite/,
  secure: /cookie\.secure/,
  domain: /cookie\.domain/,
  path: /cookie\.path/,
  'cookie.maxAge': /maxAge, in milliseconds, beside cookie/,
  'cookie.expires': /maxAge, in milliseconds, beside cookie/,
  'cookie.signed': /ids are not signed/,
  'cookie.overwrite': /replaces only its own name/,
  'cookie.key': /did you mean cookie\.name\?/,
}

test('one message lists all wrong options of a call, and says of those of other libraries what each is here', t => {
  const options: Record<string, unknown> = { idleTimeout: '1h', store: new Map() }
  const cookie: Record<string, unknown> = { path: 'app' }
  for (const name of Object.keys(foreign)) {
    const [outer, inner] = name.split('.') as [string, string | undefined]
    if (inner === undefined) options[outer] = 'hidden'
    else cookie[inner] = 'hidden'
  }
  const lines = refusal({ ...options, cookie })?.message.split('\n') ?? []
  t.is(lines.length, Object.keys(foreign).length + 3)
  for (const [name, what] of Object.entries(foreign)) {
    const line = lines.find(one => one.includes(`option ${name} is unknown: `)) ?? ''
    t.regex(line, what, name)
    t.notRegex(line, /hidden/)
  }
  for (const name of ['idleTimeout', 'store', 'cookie.path']) {
    t.true(
      lines.some(line => line.includes(`option ${name} must `)),
      name,
    )
  }
})

test('an argument that was not called, not awaited or belongs elsewhere is refused with advice', async t => {
  const client = { call() {}, get() {}, set() {} }
  const cases: [unknown, RegExp][] = [
    [new Koa(), /^session\(\) takes an object of options, got a Koa app: write app\.use\(session\(\)\)$/],
    [memoryStore(), /^session\(\) takes an object of options, got a store: write session\(\{ store \}\)$/],
    [{ store: memoryStore }, /option store must .* got a function; if it makes one, call it: store: memoryStore\(\)$/],
    [{ transport: headerTransport }, /option transport must .* call it: transport: headerTransport\(\)$/],
    [{ codec: jsonCodec }, /option codec must .* call it: codec: jsonCodec\(\)$/],
    [{ store: Promise.resolve(memoryStore()) }, /option store must .* got a Promise, which must be awaited first$/],
    [{ store: { get() {}, set() {}, destroy() {} } }, /stores of other libraries, with get and set, do not fit/],
    [{ store: client }, /a client goes into a store: redisStore\(\{ client \}\)/],
    [{ store: 'redis://:hidden@127.0.0.1' }, /got a string; a URL goes into a store: redisStore\(\{ url \}\)$/],
  ]
  for (const [options, message] of cases) {
    const error = refusal(options)
    t.true(error instanceof TypeError, inspect(options))
    t.regex(error?.message ?? '', message)
    t.notRegex(error?.message ?? '', /hidden/)
  }
})

test('app.use(session) fails with what to write instead', async t => {
  const app = new Koa()
  const errors: Error[] = []
  app.on('error', error => errors.push(error))
  app.use(session as never)
  const server = app.listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  t.is((await fetch(`http://127.0.0.1:${port}`)).status, 500)
  t.true(errors[0] instanceof TypeError)
  t.regex(errors[0]?.message ?? '', /call it: app\.use\(session\(\)\)$/)
})

const messageOf = (known: readonly string[], hints: Readonly<Record<string, string>>, name: string): string => {
  const check = new OptionCheck('exampleStore()')
  check.names({ [name]: 1 }, { known, hints })
  try {
    check.end()
  } catch (error) {
    return (error as Error).message
  }
  return ''
}

test('a hint that names an option of another store is left out', t => {
  const known = ['client', 'path', 'prefix']
  for (const name of ['uri', 'connectionString', 'connection', 'conString']) {
    const message = messageOf(known, storeHints('client'), name)
    t.is(message, `exampleStore(): option ${name} is unknown; the options are client, path, prefix`)
  }
  t.regex(messageOf(known, { paths: 'url' }, 'paths'), /is unknown: did you mean path\?$/)
})

test('the hints for stores name the option that says where the sessions are', t => {
  for (const name of ['uri', 'connectionString']) {
    t.regex(messageOf(['client', 'path'], storeHints('client', 'path'), name), /is unknown: did you mean path\?$/)
    t.regex(messageOf(['client', 'url'], storeHints('client'), name), /is unknown: did you mean url\?$/)
  }
  t.regex(messageOf(['client', 'path'], storeHints('client', 'path'), 'host'), /is unknown: use client$/)
  t.regex(messageOf(['client', 'url'], storeHints('client'), 'host'), /: it belongs in url, or use client$/)
})
