import { newKey, newRecord, newWorld, repeatedCases, whenAvailable } from '@koa-session/store-tests'
import { startServer } from '@koa-session/test-servers'
import anyTest, { type ExecutionContext } from 'ava'
import { mysqlStore } from 'koa-session-store-mysql'
import { createPool as createCallbackPool } from 'mysql2'
import { createPool, type PoolOptions, type RowDataPacket } from 'mysql2/promise'

const server = await whenAvailable(() =>
  startServer('mysql', { args: ['--autocommit=0', '--innodb-lock-wait-timeout=3'] }),
)
const test = server ? anyTest : anyTest.skip
const url = server?.url ?? 'mysql://localhost'
const shared = createPool({ uri: url, connectionLimit: 20 })
anyTest.after.always(async () => {
  await shared.end()
  await server?.end()
})

const create = (world: string) => mysqlStore({ pool: shared, table: world })

for (const { title, run } of repeatedCases({ create, capabilities: ['sweep', 'keys', 'shared'] })) {
  test(`on a server with autocommit=0: ${title}`, async t => {
    await t.notThrowsAsync(run())
  })
}

function poolOf(t: ExecutionContext, options: PoolOptions = {}) {
  const pool = createPool({ uri: url, connectionLimit: 1, ...options })
  t.teardown(() => pool.end())
  return pool
}

for (const [what, open] of Object.entries({
  'a server with autocommit=0': (t: ExecutionContext, table: string) => mysqlStore({ pool: poolOf(t), table }),
  'a server with autocommit=0, by url': (t: ExecutionContext, table: string) => {
    const store = mysqlStore({ url, table })
    t.teardown(() => store.close())
    return store
  },
  'a pool that sets autocommit=0': (t: ExecutionContext, table: string) => {
    const pool = createCallbackPool({ uri: url, connectionLimit: 1 })
    pool.on('connection', connection => connection.query('SET autocommit = 0'))
    t.teardown(() => pool.promise().end())
    return mysqlStore({ pool, table })
  },
  'a pool whose connections come with an open transaction': (t: ExecutionContext, table: string) => {
    const pool = createCallbackPool({ uri: url, connectionLimit: 1 })
    pool.on('connection', connection => {
      connection.query('SET autocommit = 1')
      connection.query('START TRANSACTION')
    })
    t.teardown(() => pool.promise().end())
    return mysqlStore({ pool, table })
  },
})) {
  test(`on ${what} every step is there for others at once, and none waits for it`, async t => {
    const table = newWorld()
    const [one, other] = [open(t, table), open(t, table)]
    const [key, taken, record] = [newKey(), newKey(), newRecord({ subject: newKey() })]
    t.true(await one.write(key, record, null))
    t.deepEqual(await other.read(key), record)
    // A lost creation must not keep a lock.
    t.true(await one.write(taken, newRecord(), null))
    t.false(await other.write(taken, newRecord(), null))
    const next = { ...record, version: 'next' }
    t.true(await other.write(key, next, record.version))
    t.deepEqual(await one.read(key), next)
    const times = { seenAt: 7, expiresAt: record.expiresAt + 7 }
    t.true(await one.touch(key, times, 'next'))
    t.deepEqual(await other.read(key), { ...next, ...times })
    const keys: string[] = []
    for await (const each of other.keys()) keys.push(each)
    t.deepEqual(keys.sort(), [key, taken].sort())
    await other.destroy(key)
    t.is(await one.read(key), undefined)
    t.true(await one.write(key, newRecord(), null))
    const later = await other.read(key)
    t.true(await other.write(key, { ...newRecord(), expiresAt: 1 }, `${later?.version}`))
    t.is(await one.read(key), undefined)
    t.is(await one.sweep(), 0)
  })
}

test('a connection that its pool left in an old snapshot shows what is true now', async t => {
  const table = newWorld()
  const pool = poolOf(t)
  const [old, fresh] = [mysqlStore({ pool, table }), create(table)]
  const [ended, begun, record] = [newKey(), newKey(), newRecord()]
  t.true(await fresh.write(ended, record, null))
  await pool.query<RowDataPacket[]>(`SELECT count(*) FROM ${table}`)
  await fresh.destroy(ended)
  t.true(await fresh.write(begun, record, null))
  t.is(await old.read(ended), undefined)
  t.deepEqual(await old.read(begun), record)
  await pool.query<RowDataPacket[]>(`SELECT count(*) FROM ${table}`)
  await fresh.destroy(begun)
  for await (const key of old.keys()) t.fail(key)
})
