import { randomBytes } from 'node:crypto'
import { sharedServer } from '@koa-session/test-servers'
import anyTest from 'ava'
import { type PostgresStoreOptions, postgresSchema, postgresStore } from 'koa-session-store-postgres'
import pg from 'pg'

const server = await sharedServer('postgres')
const test = server ? anyTest : anyTest.skip
const url = server?.url ?? 'postgres://localhost'
const pool = new pg.Pool({ connectionString: url })
anyTest.after.always(() => pool.end())

const newName = () => `t${randomBytes(8).toString('hex')}`
const newKey = () => randomBytes(32).toString('hex')
const newRecord = () => ({
  data: '{}',
  expiresAt: Date.now() + 60_000,
  seenAt: 1,
  version: newName(),
  subject: newKey(),
})

/** The definition of a table, without its name. */
async function shapeOf(table: string) {
  const columns = await pool.query(
    `SELECT column_name, data_type, is_nullable, collation_name FROM information_schema.columns
     WHERE table_name = $1 ORDER BY column_name`,
    [table],
  )
  const indexes = await pool.query('SELECT indexdef FROM pg_indexes WHERE tablename = $1 ORDER BY indexdef', [table])
  return JSON.stringify([columns.rows, indexes.rows]).replaceAll(table, 'TABLE')
}

/** Calls every method once, on a private store. */
async function isWhole(options: PostgresStoreOptions): Promise<boolean> {
  const store = postgresStore(options)
  const [key, record] = [newKey(), newRecord()]
  const answers = [
    await store.write(key, record, null),
    await store.write(key, { ...record, data: 'new' }, record.version),
    await store.touch(key, { seenAt: 2, expiresAt: record.expiresAt }, record.version),
    (await store.read(key))?.seenAt === 2,
    (await store.sweep()) === 0,
    (await store.keys({ subject: record.subject })[Symbol.asyncIterator]().next()).value === key,
    (await store.keys()[Symbol.asyncIterator]().next()).value === key,
    (await store.destroy(key)) === undefined,
  ]
  await store.close()
  return answers.every(Boolean)
}

test('ten starters at once make one table, and each of them works', async t => {
  for (let round = 0; round < 5; round++) {
    const table = newName()
    const stores = Array.from({ length: 10 }, () => postgresStore({ url, table }))
    const records = new Map(stores.map(() => [newKey(), newRecord()]))
    const writing = [...records].map(([key, record], n) => stores[n]?.write(key, record, null))
    t.deepEqual(await Promise.all(writing), Array(10).fill(true))
    for (const [key, record] of records) t.deepEqual(await stores[0]?.read(key), record)
    await Promise.all(stores.map(store => store.close()))
  }
})

test('the exported schema makes what the store makes, and changes nothing the second time', async t => {
  const [made, exported] = [newName(), newName()]
  t.true(await isWhole({ pool, table: made }))
  for (let time = 0; time < 2; time++) {
    await pool.query(postgresSchema({ table: exported }))
    t.is(await shapeOf(exported), await shapeOf(made))
  }
  t.regex(await shapeOf(made), /\(subject, key\).*\(sweep_hour\)/)
})

test('without createTable a missing table is an error and stays missing', async t => {
  const table = newName()
  const store = postgresStore({ pool, table, createTable: false })
  await t.throwsAsync(store.write(newKey(), newRecord(), null), { code: '42P01' })
  await t.throwsAsync(store.sweep(), { code: '42P01' })
  t.is((await pool.query('SELECT to_regclass($1) AS found', [table])).rows[0].found, null)
})

test('a role that may not make tables works on one that is there, and is told where there is none', async t => {
  const [role, table] = [newName(), newName()]
  await pool.query(`CREATE ROLE ${role} LOGIN PASSWORD 'test'; ${postgresSchema({ table })}`)
  await pool.query(`REVOKE CREATE ON SCHEMA public FROM PUBLIC`)
  await pool.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO ${role}`)
  const address = new URL(url)
  Object.assign(address, { username: role, password: 'test' })
  t.true(await isWhole({ url: address.href, table }))
  const store = postgresStore({ url: address.href, table: newName() })
  await t.throwsAsync(store.read(newKey()), { code: '42501' })
  await store.close()
})

test('in another schema; while that is missing each call says so, and once it is there the next call works', async t => {
  const [schema, table] = [newName(), newName()]
  const store = postgresStore({ pool, table, schema })
  const [key, record] = [newKey(), newRecord()]
  await t.throwsAsync(store.write(key, record, null), { code: '3F000' })
  await pool.query(`CREATE SCHEMA ${schema}`)
  t.true(await store.write(key, record, null))
  t.is((await pool.query(`SELECT count(*)::int AS n FROM ${schema}.${table}`)).rows[0].n, 1)
  t.true(await isWhole({ url, table: newName(), schema }))
})

test('a table that was dropped is made again by the next call', async t => {
  const table = newName()
  const store = postgresStore({ pool, table })
  const key = newKey()
  t.true(await store.write(key, newRecord(), null))
  await pool.query(`DROP TABLE ${table}`)
  t.is(await store.read(key), undefined)
  t.true(await store.write(key, newRecord(), null))
})

const suffix = newName()
for (const name of [
  '"; DROP TABLE x; --',
  "Robert'); --",
  'a "b" c',
  '$1',
  'SELECT',
  'Üñí✓🍪',
  '\\',
  '%s',
  ' ',
  '\n',
]) {
  test(`a table may be called ${JSON.stringify(name)}`, async t => {
    const table = `${name}${suffix}`
    t.true(await isWhole({ pool, table }))
    const { rows } = await pool.query('SELECT tablename FROM pg_tables WHERE tablename = $1', [table])
    t.is(rows.length, 1)
    t.true(await isWhole({ pool, schema: 'public', table }))
  })
}

test('a name of 48 bytes is not cut, and upper and lower case are two tables', async t => {
  const table = `${newName()}${'x'.repeat(31)}`
  t.is(table.length, 48)
  const [lower, upper] = [postgresStore({ pool, table }), postgresStore({ pool, table: table.toUpperCase() })]
  const key = newKey()
  t.true(await lower.write(key, newRecord(), null))
  t.is(await upper.read(key), undefined)
  t.regex(await shapeOf(table), /TABLE_subject_idx.*TABLE_sweep_hour_idx/)
})

test('a pool may read bigint in its own way', async t => {
  for (const parse of [BigInt, Number, String]) {
    const types = { getTypeParser: (oid: number) => (oid === 20 ? parse : (text: string) => text) }
    const own = new pg.Pool({ connectionString: url, types: types as never })
    const store = postgresStore({ pool: own, table: newName() })
    const [key, record] = [newKey(), newRecord()]
    await store.write(key, record, null)
    t.deepEqual(await store.read(key), record)
    await own.end()
  }
})

/** Its columns, its indexes and its rows. */
async function allOf(table: string): Promise<unknown[]> {
  const columns = 'SELECT column_name, data_type FROM information_schema.columns WHERE table_name = $1 ORDER BY 1'
  const indexes = 'SELECT indexdef FROM pg_indexes WHERE tablename = $1 ORDER BY 1'
  const rows = [await pool.query(columns, [table]), await pool.query(indexes, [table])]
  return [...rows, await pool.query(`SELECT * FROM ${table}`)].map(result => result.rows)
}

/** Rows of another program in its table `sessions`; all look expired. */
const foreign: Record<string, [columns: string, values: string]> = {
  'of tokens': ['id int primary key, token varchar(64), user_id int', "1, 'token', 7"],
  'with an expires_at in seconds': ['key varchar(64) primary key, value varchar(64), expires_at bigint', "'a', 'b', 1"],
  'with all columns but one': [
    'key varchar(64) primary key, data varchar(64), expires_at bigint, seen_at bigint, subject varchar(64)',
    "'a', 'b', 1, 1, null",
  ],
  'with all columns, of other types': [
    'key varchar(64) primary key, data jsonb, expires_at timestamp, seen_at timestamp, version text, subject text',
    "'a', '{}', now() - interval '1 day', now(), 'a', null",
  ],
}

for (const [what, [columns, values]] of Object.entries(foreign)) {
  test(`a table ${what} is another program's: every call that could change or show it says so, and it stays as it is`, async t => {
    const table = newName()
    await pool.query(`CREATE TABLE ${table} (${columns})`)
    await pool.query(`INSERT INTO ${table} VALUES (${values})`)
    const before = await allOf(table)
    const store = postgresStore({ pool, table })
    const message = /columns of a session .*, so it belongs to another program: set the option table to another name/
    await t.throwsAsync(store.read(newKey()), { message })
    await t.throwsAsync(store.write(newKey(), newRecord(), null), { message })
    await t.throwsAsync(store.write(newKey(), newRecord(), 'expected'), { message })
    await t.throwsAsync(store.sweep(), { message })
    await t.throwsAsync(store.keys()[Symbol.asyncIterator]().next(), { message })
    await t.throwsAsync(store.keys({ subject: newKey() })[Symbol.asyncIterator]().next(), { message })
    await store.touch(newKey(), { seenAt: 1, expiresAt: Date.now() + 1_000 }, 'a').catch(() => {})
    await store.destroy(newKey()).catch(() => {})
    t.deepEqual(await allOf(table), before)
  })
}
