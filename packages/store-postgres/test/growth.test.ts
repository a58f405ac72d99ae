import { setTimeout as sleep } from 'node:timers/promises'
import { isFull } from '@koa-session/behaviour/full'
import { newKey, newRecord, newWorld, whenAvailable } from '@koa-session/store-tests'
import { startServer } from '@koa-session/test-servers'
import anyTest, { type ExecutionContext } from 'ava'
import { postgresSchema, postgresStore } from 'koa-session-store-postgres'
import pg from 'pg'

// Of its own, and one test after the other: a long transaction of anybody keeps the server from reusing the room of old rows.
const server = await whenAvailable(() => startServer('postgres'))
const test = server ? anyTest.serial : anyTest.skip
const url = server?.url ?? 'postgres://none'
anyTest.after.always(() => server?.end())

/** One connection, whose prepared statements and statistics a test may look at. */
function stage(t: ExecutionContext) {
  const pool = new pg.Pool({ connectionString: url, max: 1, options: '-c synchronous_commit=off' })
  t.teardown(() => pool.end())
  const table = newWorld()
  return { pool, table, store: postgresStore({ pool, table }) }
}

const hour = 3_600_000

/** As `createTable` made it before there was `sweep_hour`. */
const oldSchema = (table: string) => `
CREATE TABLE ${table} (key text COLLATE "C" PRIMARY KEY, data text NOT NULL, expires_at bigint NOT NULL,
  seen_at bigint NOT NULL, version text NOT NULL, subject text COLLATE "C");
CREATE INDEX ${table}_expires_at_idx ON ${table} (expires_at);
CREATE INDEX ${table}_subject_idx ON ${table} (subject, key) WHERE subject IS NOT NULL`

/** The share of updates that changed no index. */
async function hotShare(pool: pg.Pool, table: string, updates: number): Promise<number> {
  for (;;) {
    const { rows } = await pool.query(
      'SELECT n_tup_upd::int AS updates, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = $1',
      [table],
    )
    // The server tells them after a while.
    if (rows[0]?.updates >= updates) return rows[0].hot / rows[0].updates
    await sleep(50)
  }
}

async function updateOften(store: ReturnType<typeof postgresStore>): Promise<number> {
  // In the middle of an hour, so that the minutes below stay within it.
  const start = Math.ceil(Date.now() / hour) * hour + hour / 4
  const sessions = Array.from({ length: isFull ? 200 : 100 }, () => ({
    key: newKey(),
    record: newRecord({ data: 'x'.repeat(500), expiresAt: start }),
  }))
  for (const { key, record } of sessions) await store.write(key, record, null)
  let updates = 0
  for (let minute = 0; minute < 6; minute++) {
    for (const session of sessions) {
      const { key, record } = session
      const times = { seenAt: start + minute * 60_000, expiresAt: start + minute * 60_000 }
      await store.touch(key, times, record.version)
      session.record = { ...record, ...times, version: newKey().slice(0, 20) }
      await store.write(key, session.record, record.version)
      updates += 2
    }
  }
  return updates
}

test('of touches and writes within an hour more than nine of ten change no index', async t => {
  const { pool, table, store } = stage(t)
  const updates = await updateOften(store)
  const share = await hotShare(pool, table, updates)
  t.true(share > 0.9, `${share}`)
})

// Of a small table the server reads all rather than the index, as it should.
test('each statement finds its rows among many by an index, with a generic plan too', async t => {
  const { pool, table, store } = stage(t)
  await pool.query(postgresSchema({ table }))
  await pool.query(
    `INSERT INTO ${table} (key, data, expires_at, seen_at, version, subject)
     SELECT encode(sha256(n::text::bytea), 'hex'), repeat('x', 400), $1::bigint + n * 100, 1, n::text,
       encode(sha256((n / 10)::text::bytea), 'hex') FROM generate_series(1, 100000) n`,
    [Date.now() - 2 * hour],
  )
  await pool.query(`ANALYZE ${table}`)
  const [key, record] = [newKey(), newRecord()]
  await store.write(key, record, null)
  await store.write(key, { ...record, version: 'other' }, record.version)
  await store.touch(key, { seenAt: 2, expiresAt: record.expiresAt }, 'other')
  await store.read(key)
  await store.keys()[Symbol.asyncIterator]().next()
  await store.keys({ subject: newKey() })[Symbol.asyncIterator]().next()
  await store.write(key, { ...record, expiresAt: 1 }, 'other')
  await store.write(key, { ...record, expiresAt: 1 }, 'other')
  await store.destroy(key)
  t.true((await store.sweep()) > 1_000)
  const { rows } = await pool.query(
    `SELECT name, statement, cardinality(parameter_types) AS count FROM pg_prepared_statements
     WHERE statement LIKE '%${table}%' AND name LIKE 'koa_session%'`,
  )
  t.is(rows.length, 10)
  await pool.query('SET plan_cache_mode = force_generic_plan')
  for (const { name, statement, count } of rows) {
    const values = Array(count).fill('NULL').join()
    const plan = (await pool.query(`EXPLAIN EXECUTE "${name}" (${values})`)).rows
      .map(row => row['QUERY PLAN'])
      .join('\n')
    t.regex(plan, /Index|^Insert/, statement)
    t.notRegex(plan, /Seq Scan/, `${statement}\n${plan}`)
    if (statement.includes('SKIP LOCKED')) t.regex(plan, /Tid Scan/, 'a sweep deletes its rows without a second search')
  }
})

test('a table of an earlier version works as it is, and postgresSchema brings it up to date', async t => {
  const { pool, table, store } = stage(t)
  await pool.query(oldSchema(table))
  const [key, record] = [newKey(), newRecord()]
  const expire = async () => {
    const expired = newKey()
    await store.write(expired, newRecord(), null)
    await pool.query(`UPDATE ${table} SET expires_at = $1 WHERE key = $2`, [Date.now() - hour - 1_000, expired])
  }
  t.true(await store.write(key, record, null))
  await expire()
  t.is(await store.sweep(), 1)
  await pool.query(postgresSchema({ table }))
  await expire()
  t.is(await store.sweep(), 1)
  t.deepEqual(await store.read(key), record)
  const made = newWorld()
  await pool.query(postgresSchema({ table: made }))
  const indexes = 'SELECT indexdef FROM pg_indexes WHERE tablename = $1 ORDER BY indexdef'
  const of = async (name: string) =>
    (await pool.query(indexes, [name])).rows.map(row => row.indexdef.replaceAll(name, 'TABLE'))
  t.deepEqual(await of(table), await of(made))
  const updates = await updateOften(store)
  t.true((await hotShare(pool, table, updates)) > 0.9)
})
