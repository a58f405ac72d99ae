import { newKey, newRecord, newWorld, ownServer } from '@koa-session/store-tests'
import anyTest, { type ExecutionContext } from 'ava'
import { Redis } from 'ioredis'
import { redisStore } from 'koa-session-store-redis'

const server = await ownServer('redis')
const test = server ? anyTest.serial : anyTest.skip
anyTest.after.always(() => server?.end())

/** A store with two sessions on a server that takes no more. */
async function stage(t: ExecutionContext) {
  const client = new Redis(server?.url ?? '')
  const store = redisStore({ client, prefix: `${newWorld()}:` })
  const [small, large] = [newKey(), newKey()]
  const record = newRecord({ data: '{}', subject: newKey() })
  await store.write(small, record, null)
  await store.write(large, { ...record, data: 'x'.repeat(2_000) }, null)
  await client.config('SET', 'maxmemory-policy', 'noeviction')
  await client.config('SET', 'maxmemory', '1')
  t.teardown(async () => {
    await client.config('SET', 'maxmemory', '0')
    client.disconnect()
  })
  return { client, store, small, large, record }
}

test('a full server refuses what needs memory, and nothing is lost by it', async t => {
  const { store, small, record } = await stage(t)
  await t.throwsAsync(store.write(newKey(), newRecord(), null), { message: /^OOM/ })
  const longer = { ...record, data: 'x'.repeat(513), version: 'longer' }
  await t.throwsAsync(store.write(small, longer, record.version), { message: /^OOM/ })
  t.deepEqual(await store.read(small), record)
})

test('on a full server every way to end a session works, and a tombstone takes its place', async t => {
  const { client, store, small, large, record } = await stage(t)
  const tombstone = { ...newRecord({ data: 't'.repeat(300), version: 'tombstone' }) }
  for (const key of [small, large]) {
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
