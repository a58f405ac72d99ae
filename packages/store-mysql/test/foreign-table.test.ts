import { newKey, newRecord, newWorld } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import anyTest from 'ava'
import { mysqlStore } from 'koa-session-store-mysql'
import { createPool } from 'mysql2/promise'

const server = await sharedServer('mysql')
const test = server ? anyTest : anyTest.skip
const url = server?.url ?? 'mysql://none'
const pool = createPool(url)

/** Its definition and its rows. */
async function shapeOf(table: string): Promise<unknown[]> {
  return [(await pool.query(`SHOW CREATE TABLE ${table}`))[0], (await pool.query(`SELECT * FROM ${table}`))[0]]
}

anyTest.after.always(() => pool.end())

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
    const table = newWorld()
    await pool.query(`CREATE TABLE ${table} (${columns})`)
    await pool.query(`INSERT INTO ${table} VALUES (${values})`)
    const before = await shapeOf(table)
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
    t.deepEqual(await shapeOf(table), before)
  })
}
