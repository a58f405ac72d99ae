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

refuses('no options', undefined, /^postgresStore: options must be an object .*undefined/)
refuses('neither pool nor url', {}, /either pool or url, got neither/)
refuses('a url from a variable that is not set', { url: undefined }, /either pool or url, got neither/)
refuses('both pool and url', { pool, url }, /either pool or url, got both/)
refuses('a pool that is none', { pool: {} }, /pool must be a Pool of pg, got \{\}/)
refuses('a url of something else', { url: 'mysql://nobody:hidden@127.0.0.1/none' }, /url must begin with postgres:/)
refuses('a url that is none', { url: 'postgres://nobody:hidden@127.0.0.1:port' }, /url must begin with postgres:/)
refuses('an unknown option', { url, tabel: 'sessions' }, /unknown option tabel \(.*\), got 'sessions'/)
refuses('createTable that is no boolean', { url, createTable: 'no' }, /createTable must be true or false, got 'no'/)

for (const table of ['', 'a.b', 'a\0b', '\ud800', 'x'.repeat(49), 'ü'.repeat(25), 7, null]) {
  refuses(`the table ${JSON.stringify(table)}`, { url, table }, /table must be a name of 1 to 48 bytes/)
  test(`postgresSchema refuses the table ${JSON.stringify(table)}`, t => {
    t.throws(() => postgresSchema({ table: table as string }), { instanceOf: TypeError, message: /^postgresSchema: / })
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
