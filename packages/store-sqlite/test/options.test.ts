import test from 'ava'
import { type SqliteStoreOptions, sqliteSchema, sqliteStore } from 'koa-session-store-sqlite'
import Libsql from 'libsql'
import AsyncLibsql from 'libsql/promise'
import { connect, hasNodeSqlite } from './open.js'

const database = connect(':memory:')
test.after.always(() => void database.close())

const refuses = (title: string, options: unknown, message: RegExp) =>
  test(`is refused: ${title}`, t => {
    const error = t.throws(() => sqliteStore(options as SqliteStoreOptions), { instanceOf: TypeError, message })
    t.notRegex(error.message, /hidden/)
  })

const path = '/srv/hidden/sessions.db'

refuses('no options', undefined, /^sqliteStore\(\) takes an object of options, got undefined$/)
refuses('a path in place of options', path, /takes an object of options, got a string$/)
refuses('neither database nor path', {}, /^sqliteStore\(\): options must have either database or path, got neither$/)
refuses('both database and path', { database, path }, /either database or path, got both/)
refuses('an unknown option', { database, tabel: 'sessions' }, /option tabel is unknown: did you mean table\?$/)
refuses('the option of another store', { filename: path }, /option filename is unknown: did you mean path\?/)
refuses(
  'createTable that is no boolean',
  { database, createTable: 'no' },
  /createTable must be true or false, got "no"/,
)
for (const [title, given, advice] of [
  ['an object', {}, /must be a Database of better-sqlite3 or libsql, or a DatabaseSync of node:sqlite, got an object$/],
  ['a path', path, /got a string; use path$/],
  ['the class', Libsql, /got a function; make one: new Database\(path\)$/],
  ['the module', { DatabaseSync: class {} }, /got an object; make one: new DatabaseSync\(path\)$/],
  ['a database of sqlite3', { prepare() {}, exec() {}, parallelize() {} }, /callbacks of sqlite3 do not fit/],
  ['a client of @libsql/client', { execute() {}, batch() {} }, /clients of @libsql\/client do not fit: use libsql$/],
  ['a database of drizzle', { $client: database }, /pass db\.\$client of drizzle$/],
  ['a database that is not awaited', Promise.resolve(database), /got a Promise, which must be awaited first$/],
] as const) {
  refuses(`as database ${title}`, { database: given }, advice)
}
for (const given of ['', 'a\0b', 7, null]) {
  refuses(
    `the path ${JSON.stringify(given)}`,
    { path: given },
    /option path must be a non-empty string without NUL, got /,
  )
}
for (const given of [':memory:', 'file:hidden.db?mode=memory']) {
  refuses(`the path ${given}`, { path: given }, /path must be the path of a file; for anything else open it yourself/)
}
for (const table of ['', 'a.b', 'a\0b', '\ud800', 'x'.repeat(65), 'sqlite_sessions', 'SQLITE_x', 7, null]) {
  refuses(`the table ${JSON.stringify(table)}`, { database, table }, /table must be a name of 1 to 64 characters/)
  test(`sqliteSchema refuses the table ${JSON.stringify(table)}`, t => {
    t.throws(() => sqliteSchema({ table: table as string }), {
      instanceOf: TypeError,
      message: /^sqliteSchema\(\): option table must /,
    })
  })
}

if (hasNodeSqlite) {
  test('constructing and closing a store that is not used opens nothing', async t => {
    const store = sqliteStore({ path: '/nowhere/sessions.db' })
    await store.close()
    await t.throwsAsync(store.read('0'.repeat(64)), { message: 'the sqlite store is closed' })
  })
} else {
  refuses(
    'a path where there is no node:sqlite, and the message says what to install',
    { path },
    /option path needs node:sqlite of Node\.js 22\.13 or later, this is 20[\d.]+: npm i better-sqlite3 \(or libsql\), and pass database: new Database\(path\)$/,
  )
}

test('a database whose methods return promises is refused by the first call', async t => {
  const promising = new AsyncLibsql(':memory:', {}) as unknown as typeof database
  await t.throwsAsync(sqliteStore({ database: promising }).read('0'.repeat(64)), {
    instanceOf: TypeError,
    message: 'sqliteStore(): option database must be synchronous: use libsql, not libsql/promise',
  })
})

test('integers and rows come in any form that a database may be set to', async t => {
  const big = new Libsql(':memory:')
  big.defaultSafeIntegers(true)
  const arrays = {
    exec: (sql: string) => big.exec(sql),
    prepare: (sql: string) => (/^\s*SELECT/.test(sql) ? big.prepare(sql).raw() : big.prepare(sql)),
  }
  for (const given of [big, arrays]) {
    const store = sqliteStore({ database: given, table: given === big ? 'big' : 'arrays' })
    const record = { data: '{}', expiresAt: Date.now() + 60_000, seenAt: 5, version: 'a,b' }
    t.true(await store.write('a'.repeat(64), record, null))
    t.deepEqual(await store.read('a'.repeat(64)), record)
    for await (const key of store.keys()) t.is(key, 'a'.repeat(64))
    t.is(await store.sweep(), 0)
  }
  big.close()
})
