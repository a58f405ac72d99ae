import test from 'ava'
import { type MysqlPool, type MysqlStoreOptions, mysqlSchema, mysqlStore } from 'koa-session-store-mysql'
import { createConnection, createPool, createPoolCluster } from 'mysql2'
import * as promise from 'mysql2/promise'

const url = 'mysql://nobody:hidden@127.0.0.1:1/none'
const pool = promise.createPool(url)

const refuses = (title: string, options: unknown, message: RegExp) =>
  test(`is refused: ${title}`, t => {
    const error = t.throws(() => mysqlStore(options as MysqlStoreOptions), { instanceOf: TypeError, message })
    t.notRegex(error.message, /hidden/)
  })

refuses('no options', undefined, /^mysqlStore\(\) takes an object of options, got undefined$/)
refuses('a url in place of options', url, /takes an object of options, got a string; did you mean \{ url \}\?$/)
refuses('neither pool nor url', {}, /^mysqlStore\(\): options must have either pool or url, got neither$/)
refuses('a url from a variable that is not set', { url: undefined }, /either pool or url, got neither/)
refuses('both pool and url', { pool, url }, /either pool or url, got both/)
refuses(
  'a pool that is none',
  { pool: {} },
  /^mysqlStore\(\): option pool must be a Pool of mysql2 or mysql2\/promise, got an object$/,
)
refuses('a pool that is a function', { pool: createPool }, /got a function; make one: createPool\(url\)$/)

const single = createConnection(url)
single.on('error', () => {})
for (const [title, given, advice] of [
  [
    'a PoolCluster',
    createPoolCluster(),
    /got a PoolCluster; pass cluster\.of\('\*'\) of a PoolCluster of mysql2\/promise$/,
  ],
  ['a PoolCluster of mysql2/promise', promise.createPoolCluster(), /pass cluster\.of\('\*'\) of a PoolCluster/],
  ['the pools of a PoolCluster of mysql2', createPoolCluster().of('*'), /got a PoolNamespace; pools of mysql and/],
  ['a connection', single, /got a Connection; all requests would share this connection: pass createPool\(url\)$/],
  ['a connection of mysql2/promise', single.promise(), /all requests would share this connection/],
  ['a pool of mysql', { getConnection(_callback: unknown) {} }, /pools of mysql and mariadb do not fit/],
  ['a pool of mariadb', { getConnection() {}, idleConnections() {} }, /pools of mysql and mariadb do not fit/],
  ['a pool that is not awaited', Promise.resolve(pool), /got a Promise, which must be awaited first$/],
] as const) {
  refuses(title, { pool: given }, advice)
}

test('what the driver takes is taken: pools of both kinds, of a cluster, and URLs under each of their names', t => {
  for (const given of [pool, createPool(url), promise.createPoolCluster().of('*') as unknown as MysqlPool]) {
    t.is(mysqlStore({ pool: given }).name, 'mysql')
  }
  for (const begin of ['mysql', 'MySQL', 'mysql2', 'mariadb']) {
    t.is(mysqlStore({ url: `${begin}://nobody:hid%23den@127.0.0.1:1/none?charset=utf8mb4` }).name, 'mysql')
  }
})

refuses('a url of something else', { url: 'postgres://nobody:hidden@127.0.0.1/none' }, /url must begin with mysql:/)
refuses(
  'a url that is none',
  { url: 'mysql://nobody:hidden@127.0.0.1:port' },
  /url cannot be parsed: check host and port/,
)
refuses(
  'an unknown option',
  { url, tabel: 'sessions' },
  /^mysqlStore\(\): option tabel is unknown: did you mean table\?$/,
)
refuses('createTable that is no boolean', { url, createTable: 'no' }, /createTable must be true or false, got "no"/)

for (const table of ['', 'a.b', 'a\0b', '\ud800', 'a🍪', 'a ', 'x'.repeat(65), 7, null]) {
  refuses(`the table ${JSON.stringify(table)}`, { url, table }, /table must be a name of 1 to 64 characters/)
  test(`mysqlSchema refuses the table ${JSON.stringify(table)}`, t => {
    t.throws(() => mysqlSchema({ table: table as string }), {
      instanceOf: TypeError,
      message: /^mysqlSchema\(\): option table must /,
    })
  })
}

test('constructing and closing a store that is not used connects nowhere', async t => {
  const [opened, given] = [mysqlStore({ url }), mysqlStore({ pool })]
  pool.on('connection', () => t.fail())
  await Promise.all([opened.close(), given.close(), given.close()])
  await t.throwsAsync(opened.read('0'.repeat(64)), { message: 'the mysql store is closed' })
  await t.throwsAsync(pool.getConnection(), { code: 'ECONNREFUSED' }, 'a pool that was handed in stays open')
})

test('a server that is not there is an error of the driver', async t => {
  const store = mysqlStore({ url })
  await t.throwsAsync(store.read('0'.repeat(64)), { code: 'ECONNREFUSED' })
  await store.close()
})
