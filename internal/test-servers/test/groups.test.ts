import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  faultProxy,
  type SharedServer,
  sharedServer,
  startPgbouncer,
  startRedisCluster,
  startRedisSentinel,
  type TestServer,
} from '@koa-session/test-servers'
import test from 'ava'
import { Cluster, Redis } from 'ioredis'
import pg from 'pg'
import { isAlive, processTree } from '../dist/processes.js'

const postgres = await sharedServer('postgres')

const pidsOf = (servers: readonly TestServer[]) => servers.flatMap(server => processTree(server.pid as number))

test('a Redis Cluster has three masters, and keeps the data of a master that ends', async t => {
  const cluster = await startRedisCluster()
  t.teardown(() => cluster.end())
  t.is(cluster.nodes.length, 6)
  t.true(Math.max(...cluster.nodes.map(({ port }) => port)) + 10_000 < 32_768, 'no client has the port of a bus')
  const pids = pidsOf(cluster.nodes)
  const masters = await cluster.masters()
  t.deepEqual(masters, cluster.nodes.slice(0, 3))

  const client = new Cluster(cluster.nodes.map(({ host, port }) => ({ host, port })))
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  const keys = Array.from({ length: 30 }, (_, index) => `key ${index}`)
  for (const key of keys) await client.set(key, key)
  for (const master of masters) {
    const direct = new Redis(master.port)
    t.true((await direct.dbsize()) > 0, 'each master has a share')
    await direct.wait(1, 60_000)
    direct.disconnect()
  }

  await masters[0]?.kill()
  while ((await cluster.masters()).length < 3) await sleep(50)
  t.true((await cluster.masters()).includes(cluster.nodes[3] as TestServer), 'the replica of the first master')
  for (const key of keys) t.is(await client.get(key), key)
  await masters[0]?.restart()
  while ((await cluster.masters()).length !== 3) await sleep(50)
  t.false((await cluster.masters()).includes(masters[0] as TestServer), 'the old master comes back as a replica')

  await cluster.end()
  t.deepEqual(pids.filter(isAlive), [])
})

test('sentinels promote the replica, and a driver that asks them follows', async t => {
  const group = await startRedisSentinel()
  t.teardown(() => group.end())
  const pids = pidsOf([...group.servers, ...group.sentinels])
  t.is(pids.length, 5)
  const [master, replica] = group.servers
  t.is(await group.master(), master)

  const client = new Redis({ sentinels: group.sentinels.map(({ host, port }) => ({ host, port })), name: group.name })
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  await client.set('key', 'kept')
  await client.wait(1, 60_000)
  await master.kill()
  while ((await group.master()) !== replica) await sleep(50)
  t.is(await client.get('key'), 'kept')
  t.is(client.stream.remotePort, replica.port)

  await group.end()
  t.deepEqual(pids.filter(isAlive), [])
})

const pooled = postgres ? test : test.skip
pooled('PgBouncer gives a server connection to another client after each transaction', async t => {
  const bouncer = await startPgbouncer({ postgres: postgres as SharedServer, settings: { default_pool_size: 1 } })
  t.teardown(() => bouncer.end())
  const proxy = await faultProxy({ target: bouncer })
  t.teardown(() => proxy.close())

  const connected = async (url: string) => {
    const client = new pg.Client(url)
    client.on('error', () => {})
    t.teardown(() => client.end().catch(() => {}))
    await client.connect()
    return client
  }
  const [one, two] = [await connected(bouncer.url), await connected(proxy.through(bouncer.url))]
  const backend = async (client: pg.Client) => (await client.query('select pg_backend_pid() as pid')).rows[0].pid
  t.is(await backend(one), await backend(two))

  const alice = `alice_${randomUUID().slice(0, 8)}`
  await one.query(`create role ${alice} login password 'secret'`)
  t.teardown(async () => {
    const direct = new pg.Client(postgres?.url)
    await direct.connect()
    await direct.query(`drop role ${alice}`)
    await direct.end()
  })
  const url = new URL(bouncer.url)
  url.username = alice
  url.password = 'secret'
  t.is((await (await connected(url.href)).query('select current_user as name')).rows[0].name, alice)
  url.password = 'wrong'
  await t.throwsAsync(connected(url.href))
})
