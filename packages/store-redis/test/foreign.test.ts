import { createHash } from 'node:crypto'
import { Browser, Site } from '@koa-session/behaviour'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { Redis } from 'ioredis'
import { open } from './open.js'

const server = await sharedServer('redis')
const declare = server ? test : test.skip
const id = 'A'.repeat(43)
const key = createHash('sha256').update(id).digest('hex')

const foreign: Record<string, (client: Redis, at: string) => Promise<unknown>> = {
  'a string': (client, at) => client.set(at, '{"cookie":{}}'),
  'a string that begins like a session': (client, at) => client.set(at, 's1 soon 1 v\na'),
  'a string with a damaged version': (client, at) => client.set(at, 's1 9e15 1 %zz\na'),
  'a list': (client, at) => client.rpush(at, 'a'),
  'a set': (client, at) => client.sadd(at, 'a'),
  'a sorted set': (client, at) => client.zadd(at, 1, 'a'),
  'a stream': (client, at) => client.xadd(at, '*', 'a', 'b'),
  'a hash without data': (client, at) => client.hset(at, { expiresAt: Date.now() + 60_000, version: 'v' }),
  'a hash of other data': (client, at) => client.hset(at, { expiresAt: Date.now() + 60_000, data: 'a' }),
}

for (const [what, put] of Object.entries(foreign)) {
  declare(`a key of another program is no session, goes to onError and is left alone: ${what}`, async t => {
    const { url = '' } = server ?? {}
    // No world is the beginning of another one.
    const world = `foreign ${what}.`
    const client = new Redis(url)
    const store = open(url, world)
    const site = await Site.start({ store })
    t.teardown(async () => {
      await site.close()
      client.disconnect()
    })
    await store.write(key, { data: '', expiresAt: Date.now() + 60_000, seenAt: Date.now(), version: 'v' }, null)
    const [at = ''] = await client.keys(`${world}*${key}`)
    await client.del(at)
    await put(client, at)
    const before = await client.dumpBuffer(at)
    const browser = new Browser(site)
    const headers = { cookie: `sid=${id}` }
    t.deepEqual((await browser.send(({ session }) => ({ ...session }), { headers })).value, {})
    await browser.visit(({ session }) => void (session.n = 1), { headers })
    t.deepEqual(await browser.data(), { n: 1 })
    const codes = site.reported.map(error => (error as { code?: string }).code)
    t.deepEqual([codes, site.thrown], [['ERR_SESSION_DECODE', 'ERR_SESSION_DECODE'], []])
    t.deepEqual(await client.dumpBuffer(at), before)
    const found: string[] = []
    for await (const one of store.keys()) found.push(one)
    t.true(found.length >= 1, 'and hides no session from an enumeration')
  })
}

declare('a hash without an expiry is no session', async t => {
  const { url = '' } = server ?? {}
  const client = new Redis(url)
  const store = open(url, 'no expiry')
  t.teardown(async () => {
    await store.close()
    client.disconnect()
  })
  await store.write(key, { data: '', expiresAt: Date.now() + 60_000, seenAt: Date.now(), version: 'v' }, null)
  const [at = ''] = await client.keys(`no expiry*${key}`)
  for (const expiresAt of ['soon', '', undefined]) {
    await client.del(at)
    await client.hset(at, { data: 'a', ...(expiresAt !== undefined && { expiresAt }) })
    t.is(await store.read(key), undefined)
    for await (const one of store.keys()) t.fail(one)
  }
})
