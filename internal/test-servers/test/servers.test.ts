import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ServerKind, serverKinds, sharedServer, startServer, startServers } from '@koa-session/test-servers'
import test from 'ava'
import { Redis } from 'ioredis'
import { MongoClient } from 'mongodb'
import { createConnection } from 'mysql2/promise'
import pg from 'pg'
import { standardPorts } from '../dist/ports.js'
import { isAlive, processTree } from '../dist/processes.js'

/** A driver's connection: writes a value durably and reads it back. */
interface Driver {
  put(value: string): Promise<unknown>
  get(): Promise<unknown>
  close(): unknown
}

const drivers: Record<ServerKind, (url: string) => Promise<Driver>> = {
  async redis(url) {
    const client = new Redis(url)
    client.on('error', () => {})
    return { put: value => client.set('key', value), get: () => client.get('key'), close: () => client.disconnect() }
  },
  async postgres(url) {
    const client = new pg.Client(url)
    client.on('error', () => {})
    await client.connect()
    return {
      async put(value) {
        await client.query('create table kept (value text)')
        await client.query('insert into kept values ($1)', [value])
      },
      get: async () => (await client.query('select value from kept')).rows[0].value,
      close: () => client.end().catch(() => {}),
    }
  },
  async mysql(url) {
    const client = await createConnection(url)
    client.on('error', () => {})
    return {
      async put(value) {
        await client.query('create table kept (value text)')
        await client.execute('insert into kept values (?)', [value])
      },
      async get() {
        const [rows] = await client.query('select value from kept')
        return (rows as { value: string }[])[0]?.value
      },
      close: () => client.destroy(),
    }
  },
  async mongo(url) {
    const client = new MongoClient(url)
    const kept = client.db().collection<{ value: string }>('kept')
    return {
      put: value => kept.insertOne({ value }, { writeConcern: { w: 'majority', journal: true } }),
      get: async () => (await kept.findOne())?.value,
      close: () => client.close(),
    }
  },
}

const [mysql, mongo] = await Promise.all([sharedServer('mysql'), sharedServer('mongo')])

;(mysql ? test : test.skip)('mysql: a server that starts leaves the temporary files of another alone', async t => {
  const client = await createConnection(String(mysql?.url))
  t.teardown(() => client.destroy())
  await client.query('create temporary table passing (value text) engine=MyISAM')
  const other = await startServer('mysql')
  t.teardown(() => other.end())
  await t.notThrowsAsync(client.query('drop table passing'))
})

// The faults of their stores kill, pause and restart the others.
const own: readonly ServerKind[] = process.env.FULL ? serverKinds : ['redis']

for (const kind of own) {
  test(`${kind}: a private server keeps port and data over kill -9, a pause and a stop; end removes everything, even while it is paused`, async t => {
    const server = await startServer(kind, { durable: true })
    t.teardown(() => server.end())
    const { port } = server
    t.false(standardPorts.includes(port))
    const pids = processTree(server.pid as number)
    t.true(isAlive(server.pid as number))

    const first = await drivers[kind](server.url)
    await first.put('kept')
    await server.kill()
    t.deepEqual(pids.filter(isAlive), [])
    t.is(server.pid, undefined)
    await first.close()

    await server.restart()
    const second = await drivers[kind](server.url)
    t.is(await second.get(), 'kept')

    await server.pause()
    const reply = second.get()
    t.is(await Promise.race([reply, sleep(200, 'silence')]), 'silence')
    await t.notThrowsAsync(
      new Promise((resolve, reject) => {
        const socket = connect(server.port, server.host, () => resolve(socket.destroy())).on('error', reject)
      }),
      'a paused server still seems to accept',
    )
    await server.resume()
    t.is(await reply, 'kept')
    await second.close()

    await server.stop()
    t.is(server.pid, undefined)
    await server.restart()
    t.is(server.port, port)
    const third = await drivers[kind](server.url)
    t.is(await third.get(), 'kept')
    await third.close()

    await server.pause()
    const paused = processTree(server.pid as number)
    await server.end()
    await server.end()
    t.deepEqual(paused.filter(isAlive), [])
    await t.throwsAsync(server.log(), { code: 'ENOENT' })
  })
}

const many = mongo ? test : test.skip
many('mongo: one of many writers that replace a version wins, and no reader sees a half-replaced document', async t => {
  const clients = await Promise.all(Array.from({ length: 8 }, () => MongoClient.connect(String(mongo?.url))))
  const [racedName, replacedName] = [`raced-${randomUUID()}`, `replaced-${randomUUID()}`]
  t.teardown(async () => {
    for (const name of [racedName, replacedName]) await clients[0]?.db().dropCollection(name)
    await Promise.all(clients.map(client => client.close()))
  })
  const raced = clients.map(client => client.db().collection<{ _id: number; version: number }>(racedName))
  await raced[0]?.insertOne({ _id: 1, version: 0 })
  for (let version = 0; version < 50; version++) {
    const replacing = raced.map(each => each.replaceOne({ _id: 1, version }, { version: version + 1 }))
    const matched = (await Promise.all(replacing)).map(({ matchedCount }) => matchedCount)
    t.is(matched.filter(count => count > 0).length, 1)
  }

  const collections = clients.map(client => client.db().collection<{ _id: number }>(replacedName))
  // Many fields make the time long in which a reply and a replacement can meet.
  const names = Array.from({ length: 1_000 }, (_, index) => `field ${index}`)
  const filled = (value: number) => Object.fromEntries(names.map(name => [name, value]))
  await collections[0]?.insertOne({ _id: 1, ...filled(0) })
  let last = 0
  const replaceAndRead = async (collection: (typeof collections)[0]) => {
    for (let round = 0; round < 30; round++) {
      await collection.replaceOne({ _id: 1 }, filled(++last))
      const { _id, ...found } = (await collection.findOne({ _id: 1 })) ?? {}
      t.is(new Set(Object.values(found)).size, 1, `round ${round}`)
    }
  }
  await Promise.all(collections.map(replaceAndRead))
})

test('startServers starts a server of each kind, and it listens on the loopback interface only', async t => {
  const [one, two] = await Promise.all([startServers(['redis', 'postgres']), startServers(['redis'])])
  t.teardown(() => Promise.all([one.redis.end(), one.postgres.end(), two.redis.end()]))
  t.deepEqual(Object.keys(one), ['redis', 'postgres'])
  t.not(one.redis.port, two.redis.port)

  const log = await one.postgres.log()
  t.regex(log, /listening on IPv4 address "127\.0\.0\.1"/)
  t.notRegex(log, /Unix socket|IPv6|0\.0\.0\.0/)
})

test('additional arguments reach the server, and a server that does not start says why', async t => {
  const server = await startServer('redis', { args: ['--maxclients', '77'] })
  t.teardown(() => server.end())
  const client = new Redis(server.url)
  t.teardown(() => client.disconnect())
  t.deepEqual(await client.config('GET', 'maxclients'), ['maxclients', '77'])
  const error = await t.throwsAsync(startServer('redis', { args: ['--no-such-thing', '1'] }))
  t.regex(String(error?.message), /no-such-thing/)
})
