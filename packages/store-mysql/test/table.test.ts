import { randomBytes } from 'node:crypto'
import { sharedServer } from '@koa-session/test-servers'
import anyTest from 'ava'
import { type MysqlStoreOptions, mysqlSchema, mysqlStore } from 'koa-session-store-mysql'
import { createPool, type RowDataPacket } from 'mysql2/promise'

const server = await sharedServer('mysql')
const test = server ? anyTest : anyTest.skip
const url = server?.url ?? 'mysql://localhost'
const pool = createPool(url)
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

async function rows(sql: string): Promise<RowDataPacket[]> {
  const [found] = await pool.query<RowDataPacket[]>(sql)
  return found
}

/** The definition of a table, without its name. */
async function shapeOf(table: string): Promise<string> {
  const [row] = await rows(`SHOW CREATE TABLE ${table}`)
  return String(row?.['Create Table']).replaceAll(table, 'TABLE')
}

/** Calls every method once, on a private store. */
async function isWhole(options: MysqlStoreOptions): Promise<boolean> {
  const store = mysqlStore(options)
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
    const stores = Array.from({ length: 10 }, () => mysqlStore({ url, table }))
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
    await pool.query(mysqlSchema({ table: exported }))
    t.is(await shapeOf(exported), await shapeOf(made))
  }
  t.regex(await shapeOf(made), /KEY `expires_at` \(`expires_at`\),\n.*KEY `subject` \(`subject`\)\n.*ENGINE=InnoDB/)
})

test('without createTable a missing table is an error and stays missing', async t => {
  const table = newName()
  const store = mysqlStore({ pool, table, createTable: false })
  await t.throwsAsync(store.write(newKey(), newRecord(), null), { code: 'ER_NO_SUCH_TABLE' })
  await t.throwsAsync(store.sweep(), { code: 'ER_NO_SUCH_TABLE' })
  t.deepEqual(await rows(`SHOW TABLES LIKE '${table}'`), [])
})

test('a user who may not make tables works on one that is there, and is told where there is none', async t => {
  const [user, table] = [newName(), newName()]
  await pool.query(mysqlSchema({ table }))
  await pool.query(`CREATE USER ${user}@'%' IDENTIFIED BY 'test'`)
  await pool.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO ${user}@'%'`)
  const address = new URL(url)
  Object.assign(address, { username: user, password: 'test' })
  t.true(await isWhole({ url: address.href, table }))
  const store = mysqlStore({ url: address.href, table: newName() })
  await t.throwsAsync(store.read(newKey()), { code: 'ER_TABLEACCESS_DENIED_ERROR' })
  await store.close()
})

test('while the table cannot be made each call says so, and once it can the next call works', async t => {
  const [user, database] = [newName(), newName()]
  await pool.query(`CREATE DATABASE ${database}`)
  await pool.query(`CREATE USER ${user}@'%' IDENTIFIED BY 'test'`)
  await pool.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${database}.* TO ${user}@'%'`)
  const address = new URL(url)
  Object.assign(address, { username: user, password: 'test', pathname: database })
  const store = mysqlStore({ url: address.href })
  const [key, record] = [newKey(), newRecord()]
  await t.throwsAsync(store.write(key, record, null), { code: 'ER_TABLEACCESS_DENIED_ERROR' })
  await pool.query(`GRANT CREATE ON ${database}.* TO ${user}@'%'`)
  t.true(await store.write(key, record, null))
  t.deepEqual(await store.read(key), record)
  await store.close()
})

test('a table that was dropped is made again by the next call', async t => {
  const table = newName()
  const store = mysqlStore({ pool, table })
  const key = newKey()
  t.true(await store.write(key, newRecord(), null))
  await pool.query(`DROP TABLE ${table}`)
  t.is(await store.read(key), undefined)
  t.true(await store.write(key, newRecord(), null))
})

const suffix = newName()
for (const name of ['`; DROP TABLE x; --', "Robert'); --", 'a `b` "c"', '?', 'SELECT', 'Üñí✓', '\\', '%s', ' ', '\n']) {
  test(`a table may be called ${JSON.stringify(name)}`, async t => {
    const table = `${name}${suffix}`
    t.true(await isWhole({ pool, table }))
    const [found] = await pool.query<RowDataPacket[]>(
      'SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?',
      [table],
    )
    t.is(found.length, 1)
  })
}

test('a name of 64 characters is not cut', async t => {
  const table = `${newName()}${'x'.repeat(47)}`
  t.true(await isWhole({ pool, table }))
  t.is((await rows(`SHOW TABLES LIKE '${table}'`)).length, 1)
})

test('in a database of another character set everything comes back as it was', async t => {
  const database = newName()
  await pool.query(`CREATE DATABASE ${database} CHARACTER SET latin1 COLLATE latin1_swedish_ci`)
  const address = new URL(url)
  address.pathname = database
  const store = mysqlStore({ url: address.href })
  const [key, record] = [newKey(), { ...newRecord(), data: '{"a":"Üñí✓🍪"}', version: 'aB' }]
  t.true(await store.write(key, record, null))
  t.deepEqual(await store.read(key), record)
  t.false(await store.write(key, newRecord(), 'Ab'))
  await store.close()
})

// Of a small table the server reads all rather than an index, as it should.
test('each statement finds its rows among many by an index', async t => {
  const pool = createPool({ uri: url, connectionLimit: 1 })
  t.teardown(() => pool.end())
  const table = `t${randomBytes(8).toString('hex')}`
  const store = mysqlStore({ pool, table })
  const used = new Map<string, unknown[]>()
  pool.pool.on('connection', (connection: { execute: (...args: [string, unknown[], unknown]) => unknown }) => {
    const { execute } = connection
    connection.execute = (sql, values, done) => {
      if (sql.includes(table) && !/CREATE|INSERT/.test(sql)) used.set(sql, values)
      return execute.call(connection, sql, values, done)
    }
  })
  const [key, subject] = [newKey(), newKey()]
  const record = { data: '{}', expiresAt: Date.now() + 60_000, seenAt: 1, version: 'one', subject }
  await store.write(newKey(), { ...record, subject: newKey() }, null)
  for (let size = 1; size < 30_000; size *= 2) {
    await pool.query(
      `INSERT INTO ${table} SELECT SHA2(CONCAT(\`key\`, ?), 256), data, expires_at + ?, seen_at, version, SHA2(CONCAT(subject, ?), 256) FROM ${table}`,
      [`${size}`, size, `${size}`],
    )
  }
  await pool.query(`ANALYZE TABLE ${table}`)
  await store.write(key, record, null)
  await store.write(key, { ...record, expiresAt: Date.now() + 60_000, version: 'two' }, null)
  await store.write(key, { ...record, version: 'two' }, 'one')
  await store.touch(key, { seenAt: 2, expiresAt: record.expiresAt }, 'two')
  await store.read(key)
  await store.keys()[Symbol.asyncIterator]().next()
  await store.keys({ subject })[Symbol.asyncIterator]().next()
  await store.sweep()
  await store.write(key, { ...record, expiresAt: 1 }, 'other')
  await store.destroy(key)
  t.is(used.size, 10)
  for (const [sql, values] of used) {
    const [plan] = await pool.query<RowDataPacket[]>(`EXPLAIN ${sql}`, values)
    const [way, ...others] = plan.filter(row => row.table === table)
    t.deepEqual(others, [])
    t.regex(way?.type, /^(const|eq_ref|ref|range)$/, `${sql} ${JSON.stringify(plan)}`)
    t.truthy(way?.key, sql)
    // All keys are read by the primary key, as many as the limit says.
    if (sql.includes('ORDER BY `key`') && !sql.includes('subject = ?')) t.is(way?.key, 'PRIMARY')
    else t.true(way?.rows <= 10, `${sql} ${JSON.stringify(plan)}`)
  }
})

/** Its definition and its rows. */
async function allOf(table: string): Promise<unknown[]> {
  return [(await pool.query(`SHOW CREATE TABLE ${table}`))[0], (await pool.query(`SELECT * FROM ${table}`))[0]]
}

/** Rows of another program in its table `sessions`; all look expired. */
const foreign: Record<string, [columns: string, values: string]> = {
  'of tokens': ['id int primary key, token varchar(64), user_id int', "1, 'token', 7"],
  'with an expires_at in seconds': [
    '`key` varchar(64) primary key, value varchar(64), expires_at bigint',
    "'a', 'b', 1",
  ],
  'with all columns but one': [
    '`key` varchar(64) primary key, data varchar(64), expires_at bigint, seen_at bigint, subject varchar(64)',
    "'a', 'b', 1, 1, null",
  ],
}

for (const [what, [columns, values]] of Object.entries(foreign)) {
  test(`a table ${what} is another program's: every call that could change or show it says so, and it stays as it is`, async t => {
    const table = newName()
    await pool.query(`CREATE TABLE ${table} (${columns})`)
    await pool.query(`INSERT INTO ${table} VALUES (${values})`)
    const before = await allOf(table)
    const store = mysqlStore({ pool, table })
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
