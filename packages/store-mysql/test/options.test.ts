import test from 'ava'
import { type MysqlStoreOptions, mysqlSchema, mysqlStore } from 'koa-session-store-mysql'
import { createPool } from 'mysql2/promise'

const url = 'mysql://nobody:hidden@127.0.0.1:1/none'
const pool = createPool(url)

const refuses = (title: string, options: unknown, message: RegExp) =>
  test(`is refused: ${title}`, t => {
    const error = t.throws(() => mysqlStore(options as MysqlStoreOptions), { instanceOf: TypeError, message })
    t.notRegex(error.message, /hidden/)
  })

refuses('no options', undefined, /^mysqlStore: options must be an object .*undefined/)
refuses('neither pool nor url', {}, /either pool or url, got neither/)
refuses('a url from a variable that is not set', { url: undefined }, /either pool or url, got neither/)
refuses('both pool and url', { pool, url }, /either pool or url, got both/)
refuses('a pool that is none', { pool: {} }, /pool must be a Pool of mysql2 or mysql2\/promise, got \{\}/)
refuses('a pool that is a function', { pool: createPool }, /pool must be a Pool of mysql2 or mysql2\/promise/)
refuses('a url of something else', { url: 'postgres://nobody:hidden@127.0.0.1/none' }, /url must begin with mysql:/)
refuses('a url that is none', { url: 'mysql://nobody:hidden@127.0.0.1:port' }, /url must begin with mysql:/)
refuses('an unknown option', { url, tabel: 'sessions' }, /unknown option tabel \(.*\), got 'sessions'/)
refuses('createTable that is no boolean', { url, createTable: 'no' }, /createTable must be true or false, got 'no'/)

for (const table of ['', 'a.b', 'a\0b', '\ud800', 'a🍪', 'a ', 'x'.repeat(65), 7, null]) {
  refuses(`the table ${JSON.stringify(table)}`, { url, table }, /table must be a name of 1 to 64 characters/)
  test(`mysqlSchema refuses the table ${JSON.stringify(table)}`, t => {
    t.throws(() => mysqlSchema({ table: table as string }), { instanceOf: TypeError, message: /^mysqlSchema: / })
  })
}

test('constructing and closing a store that is not used connects nowhere', async t => {
  const [opened, given] = [mysqlStore({ url }), mysqlStore({ pool })]
  pool.on('connection', () => t.fail())
  await Promise.all([opened.close(), given.close(), given.close()])
  await t.throwsAsync(opened.read('0'.repeat(64)), { message: 'the mysql store is closed' })
  await t.throwsAsync(given.read('0'.repeat(64)), { code: 'ECONNREFUSED' }, 'a pool that was handed in stays open')
})

test('a server that is not there is an error of the driver', async t => {
  const store = mysqlStore({ url })
  await t.throwsAsync(store.read('0'.repeat(64)), { code: 'ECONNREFUSED' })
  await store.close()
})
