import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { patient, stopwatch } from '@koa-session/behaviour/patience'
import { faultProxy, sharedServer } from '@koa-session/test-servers'
import anyTest, { type ExecutionContext } from 'ava'
import { type PostgresPool, postgresStore } from 'koa-session-store-postgres'
import pg from 'pg'

const server = await sharedServer('postgres')
const test = server ? anyTest : anyTest.skip
const url = server?.url ?? 'postgres://localhost'

const newTable = () => `t${randomBytes(8).toString('hex')}`
const newKey = () => randomBytes(32).toString('hex')
const newRecord = () => ({ data: '{}', expiresAt: Date.now() + 60_000, seenAt: 1, version: newTable() })

/** A pool that ends with the test, and a store with one session on it. */
async function stage(t: ExecutionContext, options: pg.PoolConfig = {}) {
  const pool = new pg.Pool({ connectionString: url, ...options })
  t.teardown(() => pool.end())
  const [table, key, record] = [newTable(), newKey(), newRecord()]
  const store = postgresStore({ pool, table })
  await store.write(key, record, null)
  return { pool, table, store, key, record }
}

/** Keeps everybody from the table until it is released. Resolves when the server has so many who wait. */
async function lockTable(table: string) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`BEGIN; LOCK TABLE ${table}`)
  const waiting = `SELECT pid FROM pg_locks WHERE NOT granted AND relation = '${table}'::regclass`
  return {
    async untilWaiting(count: number): Promise<number[]> {
      for (;;) {
        const { rows } = await client.query(waiting)
        if (rows.length >= count) return rows.map(({ pid }) => pid)
        await sleep(10)
      }
    },
    terminate: (pid: number | undefined) => client.query('SELECT pg_terminate_backend($1)', [pid]),
    release: () => client.end(),
  }
}

test('calls aborted while the server works or others wait leave no connection behind', async t => {
  const { pool, table, store, key, record } = await stage(t, { max: 3 })
  const lock = await lockTable(table)
  const controllers = Array.from({ length: 8 }, () => new AbortController())
  const calls = controllers.map(({ signal }) => t.throwsAsync(store.read(key, { signal }), { message: 'the reason' }))
  await lock.untilWaiting(3)
  for (const controller of controllers) controller.abort(new Error('the reason'))
  await Promise.all(calls)
  await lock.release()
  t.deepEqual(await Promise.all(controllers.map(() => store.read(key))), Array(8).fill(record))
  t.is(pool.waitingCount, 0)
  // One may still be on its way, for a call that gave up.
  const watch = stopwatch()
  while (pool.idleCount < pool.totalCount && watch() < patient(30_000)) await sleep(20)
  t.is(pool.idleCount, pool.totalCount)
})

test('a call aborted while the server does not answer leaves no socket open', async t => {
  const { table, key, record } = await stage(t)
  const proxy = await faultProxy({ target: server as { host: string; port: number } })
  const pool = new pg.Pool({ connectionString: proxy.through(url) })
  const sockets: Socket[] = []
  pool.on('connect', client =>
    sockets.push((client as unknown as { connection: { stream: Socket } }).connection.stream),
  )
  const store = postgresStore({ pool, table })
  t.deepEqual(await store.read(key), record)
  await proxy.hang()
  const controller = new AbortController()
  const call = store.read(key, { signal: controller.signal })
  await proxy.swallowed()
  controller.abort(new Error('the reason'))
  await t.throwsAsync(call, { message: 'the reason' })
  t.deepEqual(
    sockets.map(({ destroyed }) => destroyed),
    [true],
  )
  await proxy.pass()
  t.deepEqual(await store.read(key), record)
  await pool.end()
  await proxy.close()
})

test('a client that comes after its call was aborted goes back to the pool', async t => {
  const { pool, store, key, record } = await stage(t, { max: 1 })
  const client = await pool.connect()
  const controller = new AbortController()
  const call = store.read(key, { signal: controller.signal })
  controller.abort(new Error('the reason'))
  await t.throwsAsync(call, { message: 'the reason' })
  client.release()
  t.deepEqual(await store.read(key), record)
  t.is(pool.totalCount, 1)
})

test('a connection that the server ends in the middle of a call is an error of that call only', async t => {
  const { pool, table, store, key, record } = await stage(t)
  pool.on('error', error => t.fail(error.message))
  const lock = await lockTable(table)
  const call = t.throwsAsync(store.read(key), { code: '57P01' })
  const [pid] = await lock.untilWaiting(1)
  await lock.terminate(pid)
  await call
  await lock.release()
  t.deepEqual(await store.read(key), record)
})

test('each statement is prepared once, under a name made from its text', async t => {
  const { pool, store, table } = await stage(t, { max: 1 })
  const prepared = async () => {
    const { rows } = await pool.query('SELECT name, statement FROM pg_prepared_statements ORDER BY name')
    return rows.filter(({ statement }) => statement.includes(table))
  }
  const everything = async () => {
    const [key, record] = [newKey(), newRecord()]
    await store.write(key, record, null)
    await store.write(key, { ...record, data: 'x' }, record.version)
    await store.touch(key, { seenAt: 2, expiresAt: record.expiresAt }, record.version)
    await store.read(key)
    await store.sweep()
    for await (const each of store.keys()) t.is(each.length, 64)
    for await (const each of store.keys({ subject: newKey() })) t.fail(each)
    await store.destroy(key)
  }
  await everything()
  const first = await prepared()
  t.is(first.length, 8)
  for (const { name } of first) t.regex(name, /^koa_session_[\w-]{22}$/)
  for (let n = 0; n < 20; n++) await everything()
  t.deepEqual(await prepared(), first)
})

test('close waits for calls under way, even those that wait for a connection, and only then ends the pool', async t => {
  const { table, key, record } = await stage(t)
  const store = postgresStore({ url, table })
  const lock = await lockTable(table)
  const calls = Array.from({ length: 15 }, () => store.read(key))
  await lock.untilWaiting(10)
  const closing = [store.close(), store.close()]
  await t.throwsAsync(store.read(key), { message: 'the postgres store is closed' })
  await lock.release()
  t.deepEqual(await Promise.all(calls), Array(15).fill(record))
  await Promise.all([...closing, store.close()])
  await t.throwsAsync(store.read(key), { message: 'the postgres store is closed' })
})

test('closing a store on a pool of the caller leaves the pool as it was, and ends the store', async t => {
  const { pool, table, store, key, record } = await stage(t)
  await store.close()
  await t.throwsAsync(store.read(key), { message: 'the postgres store is closed' })
  t.deepEqual(await postgresStore({ pool, table }).read(key), record)
})

test('on a connection of the store a call ends by itself when there is no signal and no answer', async t => {
  const { table, key, record } = await stage(t)
  const store = postgresStore({ url, table })
  const lock = await lockTable(table)
  await t.throwsAsync(store.read(key), { message: 'Query read timeout' })
  await lock.release()
  t.deepEqual(await store.read(key), record)
  await store.close()
})

/** A pool whose server answers as told, and what it was asked. */
function fakePool(answer: (query: { name?: string; text: string }) => string | undefined) {
  const queries: { name?: string; text: string }[] = []
  const released: unknown[] = []
  const pool: PostgresPool = {
    async connect() {
      return {
        async query(query) {
          queries.push(query)
          const code = answer(query)
          if (code) throw Object.assign(new Error(code), { code })
          return { rows: [], rowCount: 0 }
        },
        on: () => {},
        off: () => {},
        release: destroy => released.push(destroy),
      }
    },
  }
  return { pool, queries, released }
}

anyTest('where a name cannot be carried, the store sends the statement again and goes on without names', async t => {
  for (const code of ['42P05', '26000']) {
    const { pool, queries, released } = fakePool(({ name }) => (name && queries.length > 2 ? code : undefined))
    const store = postgresStore({ pool })
    for (let n = 0; n < 5; n++) t.is(await store.read(newKey()), undefined)
    t.deepEqual(
      queries.map(({ name }) => typeof name),
      ['string', 'string', 'string', 'undefined', 'undefined', 'undefined'],
    )
    t.deepEqual(released, Array(5).fill(undefined))
  }
})

anyTest('what the server undid because of another transaction is tried again, but not for ever', async t => {
  for (const code of ['40001', '40P01']) {
    const { pool, queries } = fakePool(() => (queries.length < 5 ? code : undefined))
    t.is(await postgresStore({ pool }).read(newKey()), undefined)
    t.is(queries.length, 5)
    const always = fakePool(() => code)
    await t.throwsAsync(postgresStore({ pool: always.pool }).read(newKey()), { code })
    t.deepEqual(always.released, [true], 'after an error nobody else gets the connection')
  }
})

anyTest('a table that is missing after it was made is an error', async t => {
  const { pool, queries } = fakePool(({ text }) => (text.includes('CREATE') ? undefined : '42P01'))
  await t.throwsAsync(postgresStore({ pool }).read(newKey()), { code: '42P01' })
  t.is(queries.length, 3)
})
