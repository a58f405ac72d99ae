import { Browser, Site } from '@koa-session/behaviour'
import { newKey, newRecord, newWorld } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import anyTest, { type ExecutionContext } from 'ava'
import { Redis } from 'ioredis'
import { session } from 'koa-session-core'
import { type RedisStoreOptions, redisStore } from 'koa-session-store-redis'
import { earlierStore } from './earlier-store.js'

import { waysToEnd } from './ways-to-end.js'

const server = await sharedServer('redis')
const test = server ? anyTest.serial : anyTest.skip

const hour = 3_600_000
const wrongType = { message: /WRONGTYPE/ }

function stage(t: ExecutionContext) {
  const client = new Redis(server?.url ?? '')
  t.teardown(() => client.disconnect())
  const prefix = `${newWorld()}:`
  const store = redisStore({ client, prefix })
  return {
    client,
    prefix,
    store,
    earlier: earlierStore(client, prefix),
    typeOf: (key: string) => client.type(prefix + key),
    indexed: async (subject: string) =>
      (await client.zrange(`${prefix}subject:${subject}`, '0', '-1')).map(member => member.slice(0, 64)).sort(),
    async listed(subject?: string) {
      const found: string[] = []
      for await (const key of store.keys(subject === undefined ? {} : { subject })) found.push(key)
      return found.sort()
    },
  }
}

/** Sessions of the release before, with and without a subject. */
async function stored(earlier: ReturnType<typeof earlierStore>) {
  const subject = newKey()
  const both = [newRecord({ data: '{"a":"é\\n €"}' }), newRecord({ subject })].map(record => ({
    key: newKey(),
    record,
  }))
  for (const { key, record } of both) await earlier.write(key, record, null)
  return { subject, both, owned: both[1]?.key ?? '' }
}

test('a session of the first layout is read and listed, and its next touch replaces the layout', async t => {
  const { store, earlier, client, prefix, typeOf, listed, indexed } = stage(t)
  const { subject, both, owned } = await stored(earlier)
  t.deepEqual(await listed(), both.map(({ key }) => key).sort())
  t.deepEqual(await listed(subject), [owned])
  for (const { key, record } of both) {
    t.deepEqual(await store.read(key), record)
    t.is(await typeOf(key), 'hash', 'a read changes nothing')
    const times = { seenAt: 1, expiresAt: record.expiresAt + hour }
    t.false(await store.touch(key, times, 'another'))
    t.is(await typeOf(key), 'hash', 'nor does what has lost')
    for (let n = 0; n < 2; n++) {
      times.seenAt = n * 1e12
      t.true(await store.touch(key, times, record.version))
      t.is(await typeOf(key), 'string')
      t.deepEqual(await store.read(key), { ...record, ...times })
    }
    t.true((await client.pttl(prefix + key)) > 2 * hour)
  }
  t.deepEqual(await indexed(subject), [owned])
  t.deepEqual(await listed(subject), [owned])
  t.deepEqual(await listed(), both.map(({ key }) => key).sort())
})

test('a session of the first layout is replaced by the write that names its version, and by no other', async t => {
  const { store, earlier, typeOf, listed, indexed } = stage(t)
  const { subject, both, owned } = await stored(earlier)
  for (const { key, record } of both) {
    const next = newRecord({ ...(record.subject && { subject }) })
    t.false(await store.write(key, next, null))
    t.false(await store.write(key, next, 'another'))
    t.true(await store.write(key, { ...record, data: 'sent again' }, null), 'its own version')
    t.is(await typeOf(key), 'hash')
    t.true(await store.write(key, next, record.version))
    t.is(await typeOf(key), 'string')
    t.deepEqual(await store.read(key), next)
  }
  t.deepEqual(await indexed(subject), [owned])
  t.deepEqual(await listed(subject), [owned])
})

for (const [way, end] of Object.entries(waysToEnd)) {
  test(`a session of the first layout that ${way} leaves nothing behind`, async t => {
    const { store, earlier, typeOf, listed, indexed } = stage(t)
    const { subject, both } = await stored(earlier)
    for (const { key, record } of both) {
      await end(store, key, record)
      t.not(await typeOf(key), 'hash')
      t.not((await store.read(key))?.version, record.version)
    }
    t.deepEqual(await indexed(subject), [])
    t.deepEqual(await listed(subject), [])
  })
}

test('a session of the first layout that has expired is gone, and its key is free', async t => {
  const { store, earlier, listed } = stage(t)
  const [key, subject] = [newKey(), newKey()]
  const record = newRecord({ subject, expiresAt: Date.now() + 50 })
  await earlier.write(key, record, null)
  await new Promise(resolve => setTimeout(resolve, 60))
  t.is(await store.read(key), undefined)
  t.deepEqual(await listed(), [])
  t.false(await store.touch(key, { seenAt: 1, expiresAt: Date.now() + hour }, record.version))
  const next = newRecord({ subject })
  t.true(await store.write(key, next, null))
  t.deepEqual(await store.read(key), next)
})

test('processes of both releases that write one session at once lose nothing', async t => {
  const { client, prefix, store, earlier, listed } = stage(t)
  const clients = Array.from({ length: 3 }, () => client.duplicate())
  t.teardown(() => {
    for (const each of clients) each.disconnect()
  })
  const stores = clients.map(each => redisStore({ client: each, prefix }))
  const [key, subject] = [newKey(), newKey()]
  await earlier.write(key, newRecord({ data: '0', subject }), null)
  let [won, refused] = [0, 0]
  async function increment(one: Pick<typeof store, 'read' | 'write'>) {
    for (;;) {
      const found = await one.read(key)
      const next = newRecord({ data: String(Number(found?.data) + 1), subject })
      if (await one.write(key, next, found?.version ?? null)) return void won++
    }
  }
  const ofEarlier = Array.from({ length: 10 }, async () => {
    for (let n = 0; n < 10; n++) {
      await increment(earlier).catch((error: Error) => {
        t.regex(error.message, wrongType.message)
        refused++
      })
    }
  })
  // First a few of its own: from the first write of this release on it is refused.
  await Promise.race(ofEarlier)
  await Promise.all([...ofEarlier, ...stores.flatMap(one => Array.from({ length: 5 }, () => increment(one)))])
  t.is((await store.read(key))?.data, String(won))
  t.is(won + refused, 115)
  t.deepEqual(await listed(subject), [key])
})

test('the release before takes a session of this one for a value of another program, and changes nothing', async t => {
  const { client, prefix, store, earlier, listed } = stage(t)
  const [key, subject] = [newKey(), newKey()]
  const record = newRecord({ subject })
  await store.write(key, record, null)
  const before = await client.dumpBuffer(prefix + key)
  for (const call of [
    () => earlier.read(key),
    () => earlier.write(key, newRecord(), null),
    () => earlier.write(key, newRecord({ subject: newKey() }), record.version),
    () => earlier.write(key, newRecord({ expiresAt: 1 }), record.version),
    () => earlier.touch(key, { seenAt: 1, expiresAt: Date.now() + hour }, record.version),
    () => earlier.destroy(key),
    () => earlier.judge(key, subject),
  ]) {
    await t.throwsAsync(call, wrongType)
  }
  t.deepEqual(await client.dumpBuffer(prefix + key), before)
  t.deepEqual(await listed(subject), [key])
})

test('nobody is signed out by the change of the layout', async t => {
  const { client, prefix, earlier, typeOf } = stage(t)
  const options: RedisStoreOptions = { client, prefix }
  const before = session({ store: earlier, subject: data => (data as { user?: string }).user })
  const site = await Site.start({
    store: redisStore(options),
    subject: (data: object) => (data as { user?: string }).user,
  })
  t.teardown(() => site.close())
  const { key, cookie } = await before.create({ user: 'ann', n: 1 } as object)
  t.is(await typeOf(key), 'hash')
  const browser = new Browser(site)
  const headers = { cookie }
  t.deepEqual((await browser.send(({ session }) => ({ ...session }), { headers })).value, { user: 'ann', n: 1 })
  await browser.send(({ session }) => void (session.n = 2), { headers })
  t.is(await typeOf(key), 'string')
  t.deepEqual((await browser.send(({ session }) => ({ ...session }), { headers })).value, { user: 'ann', n: 2 })
  await browser.send(({ session }) => session.destroy(), { headers })
  t.is(await typeOf(key), 'none')
  t.deepEqual([site.reported, site.thrown], [[], []])
})
