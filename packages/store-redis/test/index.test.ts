import { isFull } from '@koa-session/behaviour/full'
import { newKey, newRecord, newWorld } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import anyTest, { type ExecutionContext } from 'ava'
import { Redis } from 'ioredis'
import { type SessionRecord, session } from 'koa-session-core'
import { type RedisClient, redisStore } from 'koa-session-store-redis'

import { waysToEnd } from './ways-to-end.js'

const server = await sharedServer('redis')
const test = server ? anyTest.serial : anyTest.skip

const hour = 3_600_000
const systemNow = Date.now
let ahead = 0
Date.now = () => systemNow() + ahead

anyTest.beforeEach(() => {
  ahead = 0
})

type Call = (command: string, ...args: (string | number)[]) => Promise<unknown>

function stage(t: ExecutionContext, around: (call: Call) => Call = call => call) {
  const client = new Redis(server?.url ?? '')
  t.teardown(() => client.disconnect())
  const prefix = `${newWorld()}:`
  const observed: RedisClient = { call: around((command, ...args) => client.call(command, ...args)) }
  const store = redisStore({ client: observed, prefix })
  return {
    client,
    store,
    prefix,
    /** The keys in the index of `subject`, once per place. */
    async indexed(subject: string) {
      return (await client.zrange(`${prefix}subject:${subject}`, '0', '-1')).map(member => member.slice(0, 64)).sort()
    },
    async listed(subject: string) {
      const found: string[] = []
      for await (const key of store.keys({ subject })) found.push(key)
      return found.sort()
    },
  }
}

for (const [way, end] of Object.entries(waysToEnd)) {
  test(`a session that ${way} is removed from the index, even after writes and touches`, async t => {
    const { store, indexed } = stage(t)
    const subject = newKey()
    // The places in an index are random.
    for (let n = 0; n < (isFull ? 50 : 20); n++) {
      const key = newKey()
      const first = newRecord({ subject })
      const record = newRecord({ subject, expiresAt: first.expiresAt + 9e9 })
      await store.write(key, first, null)
      t.true(await store.write(key, record, first.version))
      t.true(await store.touch(key, { seenAt: 1, expiresAt: record.expiresAt * 2 }, record.version))
      t.deepEqual(await indexed(subject), [key], 'one place, whatever happened to it')
      await end(store, key, record)
      t.deepEqual(await indexed(subject), [])
    }
  })
}

test('lost writes and a write that was sent twice leave no extra member in the index', async t => {
  const { store, indexed } = stage(t)
  const [subject, other, key] = [newKey(), newKey(), newKey()]
  const record = newRecord({ subject })
  t.true(await store.write(key, record, null))
  t.true(await store.write(key, record, null), 'sent again')
  for (const loser of [newRecord({ subject }), newRecord({ subject: other })]) {
    t.false(await store.write(key, loser, null))
    t.false(await store.write(key, loser, 'another'))
    t.false(await store.touch(key, { seenAt: 1, expiresAt: record.expiresAt * 2 }, 'another'))
  }
  t.deepEqual(await indexed(subject), [key])
  t.deepEqual(await indexed(other), [])
})

test('the index holds exactly the live sessions after any race of writes and ends', async t => {
  const stages = [stage(t), stage(t), stage(t)] as const
  const [{ client, prefix }] = stages
  const stores = stages.map(({ client }) => redisStore({ client, prefix }))
  const subjects = Array.from({ length: 3 }, newKey)
  const keys = Array.from({ length: 4 }, newKey)
  const any = <T>(items: readonly T[]) => items[Math.floor(Math.random() * items.length)] as T
  await Promise.all(
    Array.from({ length: 12 }, async () => {
      for (let n = 0; n < 150; n++) {
        const [store, key, subject, chance] = [any(stores), any(keys), any(subjects), Math.random()]
        const found = await store.read(key)
        if (chance < 0.1) await store.destroy(key)
        else if (chance < 0.2 && found) await store.write(key, newRecord({ expiresAt: 1 }), found.version)
        else if (chance < 0.3 && found) await store.write(key, newRecord(), found.version)
        else if (chance < 0.4 && found) {
          await store.touch(key, { seenAt: n, expiresAt: Date.now() + chance * 1e10 }, found.version)
        } else await store.write(key, newRecord({ subject }), found?.version ?? null)
      }
    }),
  )
  // Three commands that were not awaited are done before these.
  for (let n = 0; n < 5; n++) await Promise.all(stages.map(each => each.client.ping()))
  for (const subject of subjects) {
    const living = []
    for (const key of keys) if ((await stores[0]?.read(key))?.subject === subject) living.push(key)
    const members = await client.zrange(`${prefix}subject:${subject}`, '0', '-1')
    t.deepEqual(members.map(member => member.slice(0, 64)).sort(), living.sort())
  }
})

test('a late removal from the index does not remove the member of a session created meanwhile', async t => {
  const late: (() => Promise<unknown>)[] = []
  const { store, listed } = stage(t, call => (command, ...args) => {
    if (command !== 'zrem') return call(command, ...args)
    late.push(() => call(command, ...args))
    return new Promise(() => {})
  })
  const [key, subject] = [newKey(), newKey()]
  await store.write(key, newRecord({ subject }), null)
  await store.destroy(key)
  const next = newRecord({ subject })
  t.true(await store.write(key, next, null))
  const moved = newRecord({ subject: newKey() })
  t.true(await store.write(key, moved, next.version))
  t.true(await store.write(key, newRecord({ subject }), moved.version))
  t.is(late.length, 3)
  for (const remove of late) await remove()
  t.deepEqual(await listed(subject), [key])
})

test('a session whose removal from the index fails is ended and is not listed', async t => {
  const { store, listed, indexed } = stage(t, call => (command, ...args) => {
    return command === 'zrem' ? Promise.reject(new Error('the connection is lost')) : call(command, ...args)
  })
  const [key, ended, subject] = [newKey(), newKey(), newKey()]
  const record = newRecord({ subject })
  await store.write(key, newRecord({ subject }), null)
  await store.write(ended, record, null)
  t.true(await store.write(ended, newRecord({ expiresAt: 1 }), record.version))
  await store.destroy(ended)
  t.deepEqual(await listed(subject), [key])
  t.is((await indexed(subject)).length, 2)
})

test('a reader removes members without a session after an hour, and no younger ones', async t => {
  const { store, client, prefix, listed, indexed } = stage(t)
  const [lasting, gone, later, subject] = [newKey(), newKey(), newKey(), newKey()]
  const expiresAt = Date.now() + 100 * hour
  for (const key of [lasting, gone]) await store.write(key, newRecord({ subject, expiresAt }), null)
  // As after a crash between the two commands of an end, or before the second one of a write.
  await client.del(prefix + gone)
  t.deepEqual(await listed(subject), [lasting])
  t.is((await indexed(subject)).length, 2)
  ahead = hour + 1
  await store.write(later, newRecord({ subject, expiresAt }), null)
  await client.del(prefix + later)
  t.deepEqual(await listed(subject), [lasting])
  t.deepEqual(await indexed(subject), [lasting, later].sort())
})

test('a fast clock removes no session that is live by another clock', async t => {
  const { store, listed } = stage(t)
  const [key, other, subject] = [newKey(), newKey(), newKey()]
  const record = newRecord({ subject, expiresAt: Date.now() + 2 * hour })
  await store.write(key, record, null)
  ahead = 2.9 * hour
  t.deepEqual(await listed(subject), [])
  await store.write(other, newRecord({ subject }), null)
  await store.destroy(other)
  ahead = 0
  t.deepEqual(await listed(subject), [key])
  t.deepEqual(await store.read(key), record)
})

test('the next write of each session restores an index that the server has lost', async t => {
  const { store, client, prefix, listed } = stage(t)
  const [key, subject] = [newKey(), newKey()]
  const record = newRecord({ subject })
  await store.write(key, record, null)
  await client.del(`${prefix}subject:${subject}`)
  t.true(await store.write(key, newRecord({ subject }), record.version))
  t.deepEqual(await listed(subject), [key])
})

test('members that an earlier version wrote are listed, and replaced by those of this version', async t => {
  const { store, client, prefix, listed, indexed } = stage(t)
  const [key, subject] = [newKey(), newKey()]
  const { data, expiresAt, seenAt, version } = newRecord()
  const fields = { data, expiresAt, seenAt, version, subject, indexedUntil: expiresAt * 2 }
  await client.hset(prefix + key, fields)
  await client.zadd(`${prefix}subject:${subject}`, expiresAt * 2, key)
  t.deepEqual(await listed(subject), [key])
  t.true(await store.touch(key, { seenAt: 1, expiresAt }, version))
  t.deepEqual(await listed(subject), [key])
  t.deepEqual(await indexed(subject), [key])
  await store.destroy(key)
  t.deepEqual(await indexed(subject), [])
})

/** Adds members, many of them at the same time, as a machine adds them. */
const thousandMembers = `
  local n, at = tonumber(ARGV[1]), tonumber(ARGV[2])
  local members = {}
  for m = 0, 999 do
    members[2 * m + 1] = at + (n % 4 == 0 and n or m)
    members[2 * m + 2] = string.format('%032x%032x', m * 4294967, n)
  end
  redis.call('ZADD', KEYS[1], unpack(members))`

const thousands = isFull ? 400 : 100

test(`list and revokeAll find the session among ${thousands},000 members without one, in time`, async t => {
  let commands = 0
  const { store, client, prefix } = stage(t, call => (command, ...args) => {
    commands++
    return call(command, ...args)
  })
  const sessions = session({ store, subject: data => (data as { user?: string }).user })
  const { key } = await sessions.create({ user: 'ann' } as object)
  const [index = ''] = await client.keys(`${prefix}subject:*`)
  const until = Date.now() + 60 * 24 * hour
  // The server makes them up, which is much faster.
  for (let n = 0; n < thousands; n++) await client.eval(thousandMembers, 1, index, n, until)
  const found = []
  const [before, start] = [commands, performance.now()]
  for await (const each of sessions.list('ann')) found.push(each.key)
  t.log(`${Math.round(performance.now() - start)} ms`)
  t.deepEqual(found, [key])
  // Two for 1,000 members, and one for each of the 1,000 around a live one.
  t.true(commands - before < 2 * thousands + 1_700, `${commands - before} commands`)
  t.is(await sessions.revokeAll('ann'), 1)
  t.is(await store.read(key), undefined)
})

test('a listing of many pages finds every session once, even while sessions change', async t => {
  const { store, listed } = stage(t)
  const subject = newKey()
  const records = new Map<string, SessionRecord>()
  const expiresAt = Date.now() + hour
  await Promise.all(
    Array.from({ length: 1_700 }, async (_, n) => {
      const key = newKey()
      // Many of them at the same time.
      records.set(key, newRecord({ subject, expiresAt: expiresAt + (n % 3) * 1_000 }))
      await store.write(key, records.get(key) as SessionRecord, null)
    }),
  )
  const keys = [...records.keys()]
  let isOver = false
  const load = Array.from({ length: 4 }, async () => {
    while (!isOver) {
      const key = keys[Math.floor(Math.random() * keys.length)] as string
      const { version } = records.get(key) as SessionRecord
      await store.touch(key, { seenAt: 1, expiresAt: Date.now() + hour + Math.random() * 5 * hour }, version)
      const passing = newKey()
      await store.write(passing, newRecord({ subject, expiresAt: Date.now() + Math.random() * 5 * hour }), null)
      await store.destroy(passing)
    }
  })
  for (let n = 0; n < 3; n++) {
    const found = (await listed(subject)).filter(key => records.has(key))
    t.deepEqual(found, keys.toSorted())
  }
  isOver = true
  await Promise.all(load)
})
