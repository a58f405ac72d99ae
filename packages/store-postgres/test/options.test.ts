import test from 'ava'
import { type PostgresStoreOptions, postgresSchema, postgresStore } from 'koa-session-store-postgres'
import pg from 'pg'

const url = 'postgres://nobody:hidden@127.0.0.1:1/none'
const pool = new pg.Pool({ connectionString: url })

const refuses = (title: string, options: unknown, message: RegExp) =>
  test(`is refused: ${title}`, t => {
    const error = t.throws(() => postgresStore(options as PostgresStoreOptions), { instanceOf: TypeError, message })
    t.notRegex(error.message, /hidden/)
  })

refuses('no options', undefined, /^postgresStore\(\) takes an object of options, got undefined$/)
refuses('a url in place of options', url, /takes an object of options, got a string; did you mean \{ url \}\?$/)
refuses('neither pool nor url', {}, /^postgresStore\(\): options must have either pool or url, got neither$/)
refuses('a url from a variable that is not set', { url: undefined }, /either pool or url, got neither/)
refuses('both pool and url', { pool, url }, /either pool or url, got both/)
refuses('a pool that is none', { pool: {} }, /^postgresStore\(\): option pool must be a Pool of pg, got an object$/)
for (const [title, given, advice] of [
  ['a pg.Client', new pg.Client(url), /got a Client; all requests would share this pg\.Client: pass a pg\.Pool$/],
  ['the driver', pg, /make one: new pg\.Pool\(\{ connectionString \}\)$/],
  ['the class', pg.Pool, /got a function; make one: new pg\.Pool/],
  ['a database of pg-promise', { $pool: pool, connect() {} }, /got an object; pass db\.\$pool of pg-promise$/],
  ['a pool that is not awaited', Promise.resolve(pool), /got a Promise, which must be awaited first$/],
] as const) {
  refuses(title, { pool: given }, advice)
}
for (const part of ['hid#den', 'hid/den', 'hid?den', '12/34', '12#34', '12?34']) {
  refuses(
    `${part} in a password`,
    { url: `postgres://nobody:${part}@127.0.0.1/none` },
    /percent-encode user name and password/,
  )
}

test('what pg takes as a URL is taken', t => {
  for (const taken of [
    'postgres:///none?host=/cloudsql/project:region:instance',
    'postgres://nobody:hidden@/none?host=/cloudsql/project:region:instance',
    'postgres://nobody:hid%23den@127.0.0.1/none',
    'postgres://nobody:hid%zden@127.0.0.1/none',
    'postgres://nobody:hid den@127.0.0.1/none',
    'postgres://127.0.0.1/none?user=nobody@server&password=hidden',
    'postgres://%2Fvar%2Frun%2Fpostgresql/none',
    'postgresql://[::1]:1/none?sslmode=require',
    'POSTGRES://127.0.0.1/none',
    'socket:/var/run/postgresql?db=none',
    '/var/run/postgresql none',
  ]) {
    t.is(postgresStore({ url: taken }).name, 'postgres', taken)
    t.notThrows(() => new pg.Client(taken), taken)
  }
})

refuses('a url of something else', { url: 'mysql://nobody:hidden@127.0.0.1/none' }, /url must begin with postgres:/)
refuses(
  'a url that is none',
  { url: 'postgres://nobody:hidden@127.0.0.1:port' },
  /url cannot be parsed: check host and port/,
)
refuses(
  'an unknown option',
  { url, tabel: 'sessions' },
  /^postgresStore\(\): option tabel is unknown: did you mean table\?$/,
)
refuses('createTable that is no boolean', { url, createTable: 'no' }, /createTable must be true or false, got "no"/)

for (const table of ['', 'a.b', 'a\0b', '\ud800', 'x'.repeat(49), 'ü'.repeat(25), 7, null]) {
  refuses(`the table ${JSON.stringify(table)}`, { url, table }, /table must be a name of 1 to 48 bytes/)
  test(`postgresSchema refuses the table ${JSON.stringify(table)}`, t => {
    t.throws(() => postgresSchema({ table: table as string }), {
      instanceOf: TypeError,
      message: /^postgresSchema\(\): option table must /,
    })
  })
}
for (const schema of ['', 'a.b', 'x'.repeat(64), 7, null]) {
  refuses(`the schema ${JSON.stringify(schema)}`, { url, schema }, /schema must be a name of 1 to 63 bytes/)
}

test('constructing and closing a store that is not used connects nowhere', async t => {
  const [opened, given] = [postgresStore({ url }), postgresStore({ pool })]
  await Promise.all([opened.close(), given.close(), given.close()])
  t.is(pool.totalCount, 0)
  t.false(pool.ending, 'a pool that was handed in stays open')
  await t.throwsAsync(opened.read('0'.repeat(64)), { message: 'the postgres store is closed' })
})

test('a server that is not there is an error of the driver', async t => {
  const store = postgresStore({ url })
  await t.throwsAsync(store.read('0'.repeat(64)), { code: 'ECONNREFUSED' })
  await store.close()
})
