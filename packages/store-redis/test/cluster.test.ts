import { newKey, newRecord, newWorld, repeatedCases, whenAvailable, writeLoad } from '@koa-session/store-tests'
import { startRedisCluster } from '@koa-session/test-servers'
import anyTest from 'ava'
import { Cluster, Redis } from 'ioredis'
import { redisStore } from 'koa-session-store-redis'

const cluster = await whenAvailable(() => startRedisCluster())
const test = cluster ? anyTest : anyTest.skip
// Serial tests come before the others.
const first = cluster ? anyTest.serial : anyTest.skip

const nodes = cluster?.nodes.map(({ host, port }) => ({ host, port })) ?? []
// Replicas lag behind: the store must not read from them, though the client would.
const client = new Cluster(nodes, { lazyConnect: true, scaleReads: 'slave', slotsRefreshTimeout: 5_000 })
client.on('error', () => {})
anyTest.after.always(async () => {
  client.disconnect()
  await cluster?.end()
})

const create = (world: string) => redisStore({ client, prefix: `${world}:` })

first('a failover under load loses no write that a surviving master acknowledged, and the load goes on', async t => {
  const { masters, nodes } = cluster as NonNullable<typeof cluster>
  const prefix = `${newWorld()}:`
  const store = redisStore({ client, prefix })
  const subject = newKey()
  const keys = Array.from({ length: 30 }, newKey)
  for (const key of keys) await store.write(key, newRecord({ subject }), null)
  for (const { host, port } of await masters()) {
    const direct = new Redis(port, host)
    await direct.ping()
    t.true((await direct.wait(1, 60_000)) >= 1, 'a replica has it all')
    direct.disconnect()
  }

  const load = writeLoad(store)
  await load.advance(200)
  const [victim] = nodes as [(typeof nodes)[number]]
  const lost = (await client.cluster('SLOTS')).filter(([, , master]) => master?.[1] === victim.port)
  t.true(lost.length > 0)
  await victim.kill()
  while ((await masters()).length < 3) await new Promise(resolve => setTimeout(resolve, 100))
  load.mark()
  await load.advance(200)
  await load.stop()
  await load.verify(store, async key => {
    const slot = await client.cluster('KEYSLOT', prefix + key)
    return lost.some(([from, to]) => slot >= from && slot <= to)
  })

  const found: string[] = []
  for await (const key of store.keys({ subject })) found.push(key)
  t.deepEqual(found.sort(), keys.sort(), 'what had reached the replica is listed')

  const now = await masters()
  for (const { host, port } of nodes.filter(node => node.pid !== undefined && !now.includes(node))) {
    const replica = new Redis(port, host)
    t.teardown(() => replica.disconnect())
    t.notRegex(
      await replica.info('commandstats'),
      /cmdstat_(eval|evalsha|get|getrange|hmget|zrange|scan):/,
      'a replica was read',
    )
  }
})

for (const { title, run } of repeatedCases({ create, capabilities: ['keys', 'shared'] })) {
  test(`on a Cluster after a failover: ${title}`, async t => {
    await t.notThrowsAsync(run())
  })
}
