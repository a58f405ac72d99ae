import { newKey, newRecord, newWorld, ownServer } from '@koa-session/store-tests'
import anyTest, { type ExecutionContext } from 'ava'
import { Redis } from 'ioredis'
import { redisStore } from 'koa-session-store-redis'
import { earlierStore } from './earlier-store.js'

const server = await ownServer('redis')
const test = server ? anyTest.serial : anyTest.skip
anyTest.after.always(() => server?.end())

/** A store with two sessions, and one of the first layout, on a server that takes no more. */
async function stage(t: ExecutionContext) {
  const client = new Redis(server?.url ?? '')
  const prefix = `${newWorld()}:`
  const store = redisStore({ client, prefix })
  const [small, large, early] = [newKey(), newKey(), newKey()]
  const record = newRecord({ data: '{}', subject: newKey() })
  await store.write(small, record, null)
  await store.write(large, { ...record, data: 'x'.repeat(2_000) }, null)
  await earlierStore(client, prefix).write(early, record, null)
  await client.config('SET', 'maxmemory-policy', 'noeviction')
  await client.config('SET', 'maxmemory', '1')
  t.teardown(async () => {
    await client.config('SET', 'maxmemory', '0')
    client.disconnect()
  })
  return { client, store, small, large, early, record }
}

test('a full server refuses what needs memory, and nothing is lost by it', async t => {
  const { store, small, record } = await stage(t)
  await t.throwsAsync(store.write(newKey(), newRecord(), null), { message: /^OOM/ })
  const longer = { ...record, data: 'x'.repeat(513), version: 'longer' }
  await t.throwsAsync(store.write(small, longer, record.version), { message: /^OOM/ })
  t.deepEqual(await store.read(small), record)
})

test('on a full server every way to end a session works, and a tombstone takes its place', async t => {
  const { client, store, small, large, early, record } = await stage(t)
  const tombstone = { ...newRecord({ data: 't'.repeat(300), version: 'tombstone' }) }
  for (const key of [small, large, early]) {
    t.false(await store.write(key, tombstone, 'other'))
    t.true(await store.write(key, tombstone, record.version))
    t.deepEqual(await store.read(key), tombstone)
    t.true(await store.write(key, { ...tombstone, data: 't', version: 'next' }, tombstone.version))
    t.true(await store.write(key, { ...tombstone, expiresAt: 1, version: 'end' }, 'next'))
    t.is(await store.read(key), undefined)
  }
  t.deepEqual(await client.keys('*tombstone*'), [])
  await client.config('SET', 'maxmemory', '0')
  const key = newKey()
  await store.write(key, record, null)
  await client.config('SET', 'maxmemory', '1')
  await store.destroy(key)
  t.is(await store.read(key), undefined)
  for await (const each of store.keys({ subject: `${record.subject}` })) t.fail(each)
})

test('on a full server sessions are read, and kept alive by a touch', async t => {
  const { store, small, large, early, record } = await stage(t)
  for (const key of [small, large, early]) {
    const times = { seenAt: record.seenAt + 1, expiresAt: record.expiresAt + 60_000 }
    t.true(await store.touch(key, times, record.version))
    const shorter = { seenAt: 1, expiresAt: times.expiresAt + 1 }
    t.true(await store.touch(key, shorter, record.version))
    t.like(await store.read(key), { ...shorter, version: record.version })
  }
})
