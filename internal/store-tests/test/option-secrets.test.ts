import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { isFull } from '@koa-session/behaviour/full'
import test from 'ava'
import fc from 'fast-check'
import { headerTransport, memoryStore, session } from 'koa-session-core'
import { conformanceCases } from 'koa-session-core/testkit'
import { fileStore } from 'koa-session-store-file'
import { mongoStore } from 'koa-session-store-mongo'
import { mysqlSchema, mysqlStore } from 'koa-session-store-mysql'
import { postgresSchema, postgresStore } from 'koa-session-store-postgres'
import { redisStore } from 'koa-session-store-redis'
import { sqliteSchema, sqliteStore } from 'koa-session-store-sqlite'

/** How many of so many random runs are made for each function: a third, unless `FULL` is set. */
const runs = (count: number): number => (isFull ? count : Math.ceil(count / 3))

/** As secrets are: long, and of letters and digits. */
const canary = `c4n4ry${randomBytes(9).toString('hex')}`

const urls = ['redis', 'rediss', 'postgres', 'mysql', 'mongodb', 'mongodb+srv', 'http', 'redis+tls', 'socket']
const connection = ['url', 'uri', 'connectionString', 'host', 'password', 'user', 'ssl', 'tls', 'ttl', 'secret', canary]

/** Every function that takes options, with the names of options, right and wrong, that a secret may be given for. */
const factories: Record<string, { make: (options: never) => unknown; options: string[]; beside: object[] }> = {
  session: {
    make: session,
    options: [
      ...[
        'store',
        'cookie',
        'idleTimeout',
        'absoluteTimeout',
        'touchInterval',
        'maxAge',
        'subject',
        'transport',
        'codec',
      ],
      ...['encryptionKeys', 'storeTimeout', 'storeFailure', 'maxBytes', 'sweepInterval', 'onError', 'adopt', 'keys'],
      ...[
        'key',
        'name',
        'secret',
        'password',
        'encryptionKey',
        'prefix',
        'redis',
        'signed',
        'maxSessionsPerSubject',
        canary,
      ],
    ],
    beside: [{}, { store: memoryStore() }, { rolling: true }],
  },
  'session with cookie': {
    make: (cookie: never) => session({ cookie }),
    options: [
      ...['name', 'path', 'domain', 'httpOnly', 'secure', 'sameSite', 'partitioned', 'priority', 'signed', 'keys'],
      ...['secret', 'maxAge', 'expires', canary],
    ],
    beside: [{}, { sameSite: 'none' }, { name: '__Host-sid' }],
  },
  'session with transport': {
    make: (transport: never) => session({ transport }),
    options: ['read', 'write', 'vary', canary],
    beside: [{}, headerTransport({ name: 'x' })],
  },
  'session with codec': {
    make: (codec: never) => session({ codec }),
    options: ['stringify', 'parse', canary],
    beside: [{}, JSON],
  },
  'session with store': {
    make: (store: never) => session({ store }),
    options: ['name', 'read', 'write', 'touch', 'destroy', 'close', 'sweep', 'keys', 'client', 'pool', 'get', canary],
    beside: [{}, memoryStore()],
  },
  headerTransport: { make: headerTransport, options: ['name', 'vary', canary], beside: [{}] },
  memoryStore: { make: memoryStore, options: ['maxSessions', 'max', 'ttl', canary], beside: [{}] },
  conformanceCases: {
    make: conformanceCases,
    options: ['create', 'capabilities', 'seed', 'url', canary],
    beside: [{}, { create: () => memoryStore(), capabilities: [] }],
  },
  fileStore: { make: fileStore, options: ['directory', 'dir', 'path', ...connection], beside: [{}] },
  redisStore: {
    make: redisStore,
    options: ['client', 'prefix', 'keyPrefix', 'redis', ...connection],
    beside: [{}, { url: 'redis://h' }, { client: { call() {} } }],
  },
  postgresStore: {
    make: postgresStore,
    options: ['pool', 'table', 'schema', 'createTable', 'client', 'tableName', ...connection],
    beside: [{}, { url: 'postgres://h' }, { pool: { connect() {} } }],
  },
  postgresSchema: { make: postgresSchema, options: ['table', 'schema', ...connection], beside: [{}] },
  mysqlStore: {
    make: mysqlStore,
    options: ['pool', 'table', 'createTable', 'connection', 'database', ...connection],
    beside: [{}, { url: 'mysql://h' }, { pool: { getConnection() {} } }],
  },
  mysqlSchema: { make: mysqlSchema, options: ['table', ...connection], beside: [{}] },
  mongoStore: {
    make: mongoStore,
    options: ['collection', 'database', 'client', 'mongoUrl', 'dbName', ...connection],
    beside: [{}, { url: 'mongodb://h' }, { collection: { findOne() {} } }],
  },
  sqliteStore: {
    make: sqliteStore,
    options: ['database', 'path', 'table', 'createTable', 'filename', 'db', ...connection],
    beside: [{}, { path: 'x' }, { database: { prepare() {}, exec() {} } }],
  },
  sqliteSchema: { make: sqliteSchema, options: ['table', ...connection], beside: [{}] },
}

class Holder {
  secret = canary
  toString() {
    return canary
  }
  toJSON() {
    return canary
  }
  get [Symbol.toStringTag]() {
    return canary
  }
  [inspect.custom]() {
    return canary
  }
}

/** A secret as a text: alone, in a URL, in a URL that cannot be parsed, among others. */
const text = fc.oneof(
  fc.constant(canary),
  fc
    .tuple(
      fc.constantFrom(...urls),
      fc.constantFrom('', 'user'),
      fc.constantFrom('', '#', '/', '?', '%zz', '@', ':', ' '),
    )
    .map(([scheme, user, sign]) => `${scheme}://${user}:${sign}${canary}@host:1234/name`),
  fc.constantFrom(`redis://host/${canary}`, `mongodb://host/?${canary}=1`, `mongodb://host/?tls=${canary}`),
  fc.string({ maxLength: 3 }).map(end => `${canary}${end}`),
)

const secret = fc.letrec(tie => ({
  value: fc.oneof(
    { maxDepth: 3 },
    text,
    fc.constantFrom<unknown>(
      ...[new Holder(), () => canary, Symbol(canary), new Error(canary), Promise.resolve(canary), Buffer.from(canary)],
      ...[new URL(`redis://:${canary}@host`), new Map([[canary, canary]]), { constructor: { name: canary } }],
      ...[Object.assign(() => {}, { secret: canary }), Object.assign(Object.create(null), { password: canary })],
    ),
    fc.array(tie('value'), { minLength: 1, maxLength: 2 }),
    fc.dictionary(
      fc.constantFrom('url', 'password', 'name', 'options', 'connect', 'call', 'findOne', 'getConnection', canary),
      tie('value'),
      { minKeys: 1 },
    ),
  ),
})).value

test('no message about options, right or wrong, shows a secret that was given for any of them', t => {
  const warnings: Error[] = []
  const listen = (warning: Error) => warnings.push(warning)
  process.on('warning', listen)
  t.teardown(() => process.off('warning', listen))
  let refused = 0
  const judge = (make: (options: never) => unknown, options: unknown) => {
    try {
      make(options as never)
    } catch (error) {
      refused++
      if (!(error instanceof TypeError)) throw error
      const said = [error.message, error.stack, inspect(error, { depth: 9, showHidden: true })].join()
      if (said.includes(canary)) throw new Error(`a secret is shown: ${said}`)
    }
  }
  for (const { make, options, beside } of Object.values(factories)) {
    fc.assert(
      fc.property(fc.constantFrom(...options), fc.constantFrom(...beside), secret, (name, others, value) =>
        judge(make, { ...others, [name]: value }),
      ),
      { numRuns: runs(400) },
    )
    fc.assert(
      fc.property(secret, value => judge(make, value)),
      { numRuns: runs(100) },
    )
    fc.assert(
      fc.property(text, secret, (name, value) => judge(make, { [name]: value })),
      { numRuns: runs(50) },
    )
  }
  t.true(refused > runs(4_000), `${refused} were refused`)
  t.false(inspect(warnings, { depth: 9 }).includes(canary))
})
