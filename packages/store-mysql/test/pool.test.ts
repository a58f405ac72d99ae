import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { faultProxy, sharedServer } from '@koa-session/test-servers'
import anyTest, { type ExecutionContext } from 'ava'
import { type MysqlPromisePool, mysqlStore } from 'koa-session-store-mysql'
import { createPool as createCallbackPool } from 'mysql2'
import { createConnection, createPool, type PoolOptions, type RowDataPacket } from 'mysql2/promise'

const server = await sharedServer('mysql')
const test = server ? anyTest : anyTest.skip
const url = server?.url ?? 'mysql://localhost'

const newTable = () => `t${randomBytes(8).toString('hex')}`
const newKey = () => randomBytes(32).toString('hex')
const newRecord = () => ({ data: '{}', expiresAt: Date.now() + 60_000, seenAt: 1, version: newTable() })

/** A pool that ends with the test, and a store with one session on it. */
async function stage(t: ExecutionContext, options: PoolOptions = {}) {
  const pool = createPool({ uri: url, ...options })
  t.teardown(() => pool.end())
  const [table, key, record] = [newTable(), newKey(), newRecord()]
  const store = mysqlStore({ pool, table })
  await store.write(key, record, null)
  return { pool, table, store, key, record }
}

/** Keeps everybody from the table until it is released. Resolves when the server has so many who wait. */
async function lockTable(table: string) {
  const connection = await createConnection(url)
  await connection.query(`LOCK TABLES ${table} WRITE`)
  const watcher = await createConnection(url)
  const waiting = `SELECT id FROM information_schema.processlist
    WHERE info LIKE '%${table}%' AND state LIKE 'Waiting for table metadata lock'`
  return {
    async untilWaiting(count: number): Promise<number[]> {
      for (;;) {
        const [rows] = await watcher.query<RowDataPacket[]>(waiting)
        if (rows.length >= count) return rows.map(row => row.id ?? row.ID)
        await sleep(10)
      }
    },
    kill: (id: number | undefined) => watcher.query(`KILL ${id}`),
    async release() {
      await connection.end()
      await watcher.end()
    },
  }
}

test('calls aborted while the server works or others wait leave no connection behind', async t => {
  const { pool, table, store, key, record } = await stage(t, { connectionLimit: 3 })
  let [acquired, released] = [0, 0]
  pool.on('acquire', () => acquired++)
  pool.on('release', () => released++)
  const lock = await lockTable(table)
  const controllers = Array.from({ length: 8 }, () => new AbortController())
  const calls = controllers.map(({ signal }) => t.throwsAsync(store.read(key, { signal }), { message: 'the reason' }))
  const ids = await lock.untilWaiting(3)
  for (const controller of controllers) controller.abort(new Error('the reason'))
  await Promise.all(calls)
  await lock.release()
  ;[acquired, released] = [0, 0]
  t.deepEqual(await Promise.all(controllers.map(() => store.read(key))), Array(8).fill(record))
  t.true(released > 0 && released <= 3, 'at most three are there, and all are free')
  const [rows] = await pool.query<RowDataPacket[]>('SELECT id FROM information_schema.processlist')
  const left = rows.map(row => row.id ?? row.ID)
  t.deepEqual(
    ids.filter(id => left.includes(id)),
    [],
    'the connections of aborted calls are gone',
  )
})

test('a call aborted while the server does not answer leaves no socket open', async t => {
  const { table, key, record } = await stage(t)
  const proxy = await faultProxy({ target: server as { host: string; port: number } })
  const pool = createPool(proxy.through(url))
  const sockets: Socket[] = []
  pool.on('connection', connection => sockets.push((connection as unknown as { stream: Socket }).stream))
  const store = mysqlStore({ pool, table })
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

test('a connection that comes after its call was aborted goes back to the pool', async t => {
  const { pool, store, key, record } = await stage(t, { connectionLimit: 1 })
  const connection = await pool.getConnection()
  const controller = new AbortController()
  const call = store.read(key, { signal: controller.signal })
  controller.abort(new Error('the reason'))
  await t.throwsAsync(call, { message: 'the reason' })
  connection.release()
  t.deepEqual(await store.read(key), record)
})

test('a connection that the server ends in the middle of a call is an error of that call only', async t => {
  const { table, store, key, record } = await stage(t)
  const lock = await lockTable(table)
  const call = t.throwsAsync(store.read(key))
  const [id] = await lock.untilWaiting(1)
  await lock.kill(id)
  await call
  await lock.release()
  t.deepEqual(await store.read(key), record)
})

for (const [what, options] of Object.entries({
  'gives rows as arrays': { rowsAsArray: true },
  'gives big numbers as text': { supportBigNumbers: true, bigNumberStrings: true },
  'nests tables': { nestTables: true },
  'has named placeholders': { namedPlaceholders: true },
  'casts types': { typeCast: (field: { string(): string | null }) => field.string() },
  'evaluates no code': { disableEval: true },
  'casts types and evaluates no code': {
    disableEval: true,
    typeCast: (field: { string(): string | null }) => field.string(),
  },
} satisfies Record<string, PoolOptions>)) {
  test(`on a pool that ${what} records come back as they were`, async t => {
    const { store, key, record } = await stage(t, options as PoolOptions)
    t.deepEqual(await store.read(key), record)
    for await (const each of store.keys()) t.is(each, key)
    t.true(await store.write(key, record, null), 'a write that came again')
  })
}

test('a pool of mysql2 does as well as one of mysql2/promise', async t => {
  const pool = createCallbackPool({ uri: url })
  const store = mysqlStore({ pool, table: newTable() })
  const [key, record] = [newKey(), newRecord()]
  t.true(await store.write(key, record, null))
  t.false(await store.write(key, newRecord(), null))
  t.deepEqual(await store.read(key), record)
  await store.close()
  await pool.promise().query('SELECT 1')
  await pool.promise().end()
})

test('close waits for calls under way, even those that wait for a connection, and only then ends the pool', async t => {
  const { table, key, record } = await stage(t)
  const store = mysqlStore({ url, table })
  const lock = await lockTable(table)
  const calls = Array.from({ length: 15 }, () => store.read(key))
  await lock.untilWaiting(10)
  const closing = [store.close(), store.close()]
  await t.throwsAsync(store.read(key), { message: 'the mysql store is closed' })
  await lock.release()
  t.deepEqual(await Promise.all(calls), Array(15).fill(record))
  await Promise.all([...closing, store.close()])
  await t.throwsAsync(store.read(key), { message: 'the mysql store is closed' })
})

test('closing a store on a pool of the caller leaves the pool as it was, and ends the store', async t => {
  const { pool, table, store, key, record } = await stage(t)
  await store.close()
  await t.throwsAsync(store.read(key), { message: 'the mysql store is closed' })
  t.deepEqual(await mysqlStore({ pool, table }).read(key), record)
})

test('on a connection of the store a call ends by itself when there is no signal and no answer', async t => {
  const { table, key, record } = await stage(t)
  const store = mysqlStore({ url, table })
  const lock = await lockTable(table)
  await t.throwsAsync(store.read(key), { message: 'mysql gave no answer within 10000 ms' })
  await lock.release()
  t.deepEqual(await store.read(key), record)
  await store.close()
})

/** A pool whose server answers as told, and what became of its connections. */
function fakePool(answer: (sql: string) => number | undefined) {
  const statements: string[] = []
  const ended: string[] = []
  const pool: MysqlPromisePool = {
    async getConnection() {
      return {
        async execute({ sql }) {
          statements.push(sql)
          const errno = answer(sql)
          if (errno) throw Object.assign(new Error(`error ${errno}`), { errno })
          return [Object.assign([], { affectedRows: 1 }), undefined]
        },
        release: () => ended.push('released'),
        destroy: () => ended.push('destroyed'),
      }
    },
  }
  return { pool, statements, ended }
}

anyTest('what the server undid because of another transaction is tried again, but not for ever', async t => {
  for (const errno of [1213, 1205, 1020]) {
    const { pool, statements } = fakePool(() => (statements.length < 5 ? errno : undefined))
    t.true(await mysqlStore({ pool }).write(newKey(), newRecord(), null))
    t.is(statements.length, 5)
    const always = fakePool(() => errno)
    await t.throwsAsync(mysqlStore({ pool: always.pool }).read(newKey()), { message: `error ${errno}` })
    t.deepEqual(always.ended, ['destroyed'], 'after an error nobody else gets the connection')
  }
})

anyTest('a table that is missing after it was made is an error', async t => {
  const { pool, statements } = fakePool(sql => (sql.startsWith('CREATE') ? undefined : 1146))
  await t.throwsAsync(mysqlStore({ pool }).read(newKey()), { message: 'error 1146' })
  t.is(statements.length, 3)
})

anyTest('a creator whose key was taken and is free again begins anew', async t => {
  let inserts = 0
  const { pool } = fakePool(sql => (sql.includes('INSERT') && ++inserts < 3 ? 1062 : undefined))
  const taken: MysqlPromisePool = {
    async getConnection() {
      const connection = await pool.getConnection()
      const execute: typeof connection.execute = async statement => {
        const result = await connection.execute(statement)
        return statement.sql.includes('UPDATE') ? [{ affectedRows: 0 }, undefined] : result
      }
      return { ...connection, execute }
    },
  }
  t.true(await mysqlStore({ pool: taken }).write(newKey(), newRecord(), null))
  t.is(inserts, 3)
})
