import { randomBytes } from 'node:crypto'
import { isFull } from '@koa-session/behaviour/full'
import { repeatedCases, whenAvailable } from '@koa-session/store-tests'
import { startServer } from '@koa-session/test-servers'
import anyTest from 'ava'
import { isSessionError } from 'koa-session-core'
import { mysqlStore } from 'koa-session-store-mysql'
import { createPool } from 'mysql2'
import { createPool as createPromisePool, type RowDataPacket } from 'mysql2/promise'

/** How long writers run against a sweeper, in seconds. */
const seconds = Number(process.env.SOAK_SECONDS ?? (isFull ? 10 : 2))

// Not strict, of another time zone, and with little room for packets. A MariaDB of today isolates snapshots anyway.
const args = [
  '--sql-mode=',
  '--default-time-zone=+08:00',
  '--max-allowed-packet=2M',
  '--loose-innodb-snapshot-isolation=ON',
]
const server = await whenAvailable(() => startServer('mysql', { args }))
const test = server ? anyTest : anyTest.skip
const serially = server ? anyTest.serial : anyTest.skip
const url = server?.url ?? 'mysql://localhost'
const pool = createPool({ uri: url, connectionLimit: 20 })
anyTest.after.always(async () => {
  await pool.promise().end()
  await server?.end()
})

const newName = () => `t${randomBytes(8).toString('hex')}`
const newKey = () => randomBytes(32).toString('hex')
const newRecord = (life = 60_000) => ({ data: '{}', expiresAt: Date.now() + life, seenAt: 1, version: newName() })

async function status(name: string): Promise<number> {
  const [rows] = await pool.promise().query<RowDataPacket[]>(`SHOW GLOBAL STATUS LIKE '${name}'`)
  return Number(rows[0]?.Value)
}

const create = (world: string) => mysqlStore({ pool, table: world })

for (const { title, run } of repeatedCases({ create, capabilities: ['sweep', 'keys', 'shared'] })) {
  test(`on a server that is not strict and eight hours ahead: ${title}`, async t => {
    await t.notThrowsAsync(run())
  })
}

serially('data too long for the column are refused, not cut', async t => {
  const store = mysqlStore({ pool, table: newName() })
  const key = newKey()
  await t.throwsAsync(store.write(key, { ...newRecord(), data: 'x'.repeat(2 ** 24) }, null), {
    code: 'ER_DATA_TOO_LONG',
  })
  t.is(await store.read(key), undefined)
})

serially('data too long for a packet of the server are an error, and the next call works', async t => {
  const own = createPromisePool({ uri: url, connectionLimit: 1 })
  const store = mysqlStore({ pool: own, table: newName() })
  const [key, record] = [newKey(), { ...newRecord(), data: '✓'.repeat(500_000) }]
  const error = await t.throwsAsync(store.write(key, { ...record, data: 'x'.repeat(3_000_000) }, null))
  t.false(isSessionError(error))
  t.is(await store.read(key), undefined)
  t.true(await store.write(key, record, null))
  t.deepEqual(await store.read(key), record)
  await own.end()
})

serially('the server keeps as many prepared statements as there are, whatever the calls', async t => {
  const own = createPromisePool({ uri: url, connectionLimit: 2 })
  const store = mysqlStore({ pool: own, table: newName() })
  const everything = () =>
    Promise.all(
      Array.from({ length: 4 }, async () => {
        const [key, record] = [newKey(), newRecord()]
        await store.write(key, record, null)
        await store.write(key, newRecord(), null)
        await store.write(key, { ...record, data: newName(), version: newName() }, record.version)
        await store.touch(key, { seenAt: 2, expiresAt: record.expiresAt }, record.version)
        await store.read(key)
        await store.sweep()
        for await (const each of store.keys()) t.is(each.length, 64)
        for await (const each of store.keys({ subject: newKey() })) t.fail(each)
        await store.destroy(key)
      }),
    )
  for (let n = 0; n < 10; n++) await everything()
  const before = await status('Prepared_stmt_count')
  for (let n = 0; n < 20; n++) await everything()
  t.is(await status('Prepared_stmt_count'), before)
  await own.end()
})

serially(`eight writers against sweepers for ${seconds} seconds see no error`, async t => {
  const table = newName()
  const stores = Array.from({ length: 4 }, () => mysqlStore({ url, table }))
  const keys = Array.from({ length: 12 }, newKey)
  const end = Date.now() + seconds * 1_000
  // On a busy machine it takes longer until there was a load.
  const isOver = () => Date.now() > end && won > 100 && swept > 20
  const any = <T>(items: readonly T[]): T => items[Math.floor(Math.random() * items.length)] as T
  let [won, swept] = [0, 0]

  async function write(store: (typeof stores)[number]) {
    while (!isOver()) {
      const [key, record] = [any(keys), newRecord(Math.random() < 0.5 ? 60_000 : Math.random() * 30)]
      const found = await store.read(key)
      if (await store.write(key, record, found?.version ?? null)) won++
      await store.touch(key, { seenAt: 2, expiresAt: Date.now() - 3_600_000 }, record.version)
      if (Math.random() < 0.1) await store.destroy(key)
    }
  }
  async function sweep(store: (typeof stores)[number]) {
    while (!isOver()) swept += await store.sweep()
  }

  const deadlocks = await status('Innodb_deadlocks')
  const working = [...stores, ...stores].map(write).concat(stores.slice(0, 2).map(sweep))
  await t.notThrowsAsync(Promise.all(working))
  t.log(`${won} writes, ${swept} swept, ${(await status('Innodb_deadlocks')) - deadlocks} deadlocks settled inside`)
  await Promise.all(stores.map(store => store.close()))
})
