import { newKey, newRecord, newWorld } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import anyTest, { type ExecutionContext } from 'ava'
import { Redis } from 'ioredis'
import { redisStore } from 'koa-session-store-redis'

const server = await sharedServer('redis')
const test = server ? anyTest.serial : anyTest.skip

const hour = 3_600_000
const day = 24 * hour
const begun = Date.now()
let ahead = 0
// The clock of this process, against which that of the server is skewed. It stands still: a busy machine takes its time.
Date.now = () => begun + ahead

anyTest.beforeEach(() => {
  ahead = 0
})

function stage(t: ExecutionContext) {
  const client = new Redis(server?.url ?? '')
  t.teardown(() => client.disconnect())
  const prefix = `${newWorld()}:`
  const store = redisStore({ client, prefix })
  const listed = async (subject: string) => {
    const found: string[] = []
    for await (const key of store.keys({ subject })) found.push(key)
    return found
  }
  return { client, store, prefix, listed }
}

for (const skew of [-day, 0, day]) {
  test(`with a server clock ${-skew / day} days ahead sessions live as long as they should`, async t => {
    const { client, store, prefix } = stage(t)
    ahead = skew
    const [key, record] = [newKey(), newRecord({ expiresAt: Date.now() + 60_000 })]
    t.true(await store.write(key, record, null))
    t.deepEqual(await store.read(key), record)
    const left = await client.pttl(prefix + key)
    t.true(left > hour && left <= hour + 60_000, `Redis keeps it an hour longer, so that the caller decides: ${left}`)
    const times = { seenAt: 1, expiresAt: Date.now() + 100_000 }
    t.true(await store.touch(key, times, record.version))
    t.true((await client.pttl(prefix + key)) > hour + 61_000)
    ahead += 100_001
    t.is(await store.read(key), undefined)
    t.false(await store.touch(key, { seenAt: 1, expiresAt: Date.now() + 1_000 }, record.version))
    t.true(await store.write(key, newRecord(), null))
  })
}

test('the index of a subject outlives every session in it, however often one is touched', async t => {
  const { client, store, prefix, listed } = stage(t)
  const [key, subject] = [newKey(), newKey()]
  const record = newRecord({ subject, expiresAt: Date.now() + 10_000 })
  await store.write(key, record, null)
  for (let n = 0; n < 12; n++) {
    ahead += 9_000
    const times = { seenAt: n, expiresAt: Date.now() + (n % 2 ? 100_000 : 10_000) }
    t.true(await store.touch(key, times, record.version))
    const [ofRecord, ofIndex] = [await client.pttl(prefix + key), await client.pttl(`${prefix}subject:${subject}`)]
    t.true(ofIndex >= ofRecord - 5_000, `${ofIndex} and ${ofRecord}`)
    t.deepEqual(await store.read(key), { ...record, ...times })
    t.deepEqual(await listed(subject), [key])
    // By the clock of the server no time has passed: only what the scores say counts.
    await store.write(newKey(), newRecord({ subject, expiresAt: Date.now() + 10 }), null)
  }
})

test('what has expired leaves the index, when it is read and when it is written', async t => {
  const { client, store, prefix, listed } = stage(t)
  const [subject, lasting, later] = [newKey(), newKey(), newKey()]
  await store.write(lasting, newRecord({ subject, expiresAt: Date.now() + day }), null)
  const size = () => client.zcard(`${prefix}subject:${subject}`)
  for (const use of [
    () => listed(subject),
    () => store.write(later, newRecord({ subject, expiresAt: Date.now() + day }), null),
  ]) {
    for (let n = 0; n < 5; n++) await store.write(newKey(), newRecord({ subject, expiresAt: Date.now() + 1_000 }), null)
    t.true((await size()) >= 6)
    t.is((await listed(subject)).length, 6)
    // Twice as long as they live, and the slack.
    ahead += 2_000 + hour + 1
    await use()
    t.true((await size()) <= 2)
  }
  t.deepEqual((await listed(subject)).sort(), [lasting, later].sort())
})

test('a session that was ended is not listed, and a reader does not take away the place of one being written', async t => {
  const { client, store, prefix, listed } = stage(t)
  const [subject, ended, slow] = [newKey(), newKey(), newKey()]
  await store.write(ended, newRecord({ subject }), null)
  await store.destroy(ended)
  // As a writer leaves it between its two steps.
  const index = `${prefix}subject:${subject}`
  await client.zadd(index, Date.now() + 60_000, slow)
  t.deepEqual(await listed(subject), [])
  t.not(await client.zscore(index, slow), null)
})
