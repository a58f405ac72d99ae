import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { isFull } from '@koa-session/behaviour/full'
import { patient, within } from '@koa-session/behaviour/patience'
import { newKey, newRecord, newWorld, ownServer, readmeSettings } from '@koa-session/store-tests'
import { faultCases, firewallCases } from '@koa-session/store-tests/network-tests'
import { faultProxy } from '@koa-session/test-servers'
import anyTest from 'ava'
import { session } from 'koa-session-core'
import { type RedisClient, redisStore } from 'koa-session-store-redis'
import * as nodeRedis from 'redis'
import * as nodeRedis6 from 'redis-6'
import { clientKinds } from './client-kinds.js'

const server = await ownServer('redis')
anyTest.after.always(() => server?.end())
const test = server ? anyTest.serial : anyTest.skip
const url = server?.url ?? 'redis://127.0.0.1:1'
const ignore = () => {}
// Their types differ in what is not used here.
const sixth = nodeRedis6 as unknown as typeof nodeRedis
const drivers = { 'node-redis 5': nodeRedis, ...(isFull && { 'node-redis 6': sixth }) }

type Options = nodeRedis.RedisClientOptions

/** A client that connects meanwhile, as that of an app which does not wait for it. */
const open = (driver: Pick<typeof nodeRedis, 'createClient'>, settings?: Options) => (url: string, world: string) => {
  const client = driver.createClient({ url, ...settings }).on('error', ignore)
  client.connect().catch(ignore)
  const store = redisStore({ client, prefix: `${world}:` })
  return {
    ...store,
    async close() {
      await store.close()
      client.destroy()
    },
  }
}

/** A client of the app adds to the faults of a server: by its connections, its queue, and its errors. */
const chosen =
  /every call ends with its signal|refuses connections,|resets every|reply to a write that replaces|idle connections|kill -9/
if (server) {
  for (const [version, driver] of Object.entries(drivers)) {
    const cases = faultCases({ open: open(driver), server })
    for (const { title, run } of cases.filter(({ title }) => isFull || chosen.test(title))) {
      test(`on ${version}: ${title}`, async t => {
        await t.notThrowsAsync(run())
      })
    }
  }
}

if (server) {
  const [settings] = readmeSettings<[Options]>(new URL('../README.md', import.meta.url), 'createClient', '')
  const { url: _, ...others } = settings
  for (const [version, driver] of Object.entries(drivers)) {
    const cases = firewallCases({ open: open(driver, others), server, methods: ['read', 'write'] })
    for (const { title, run } of cases.filter(({ title }) => isFull || title.includes('a read is answered'))) {
      test(`on ${version} with the settings of the README: ${title}`, async t => {
        await t.notThrowsAsync(run())
      })
    }
    test(`on ${version} with the settings of the README: calls that keep coming do not keep a dead connection`, async t => {
      const proxy = await faultProxy({ target: server })
      const store = open(driver, others)(proxy.through(url), newWorld())
      const [key, record] = [newKey(), newRecord()]
      await store.write(key, record, null)
      proxy.forget()
      let isOver = false
      // Node's `socketTimeout` counts what is sent as well.
      const asking = (async () => {
        const calls: Promise<unknown>[] = []
        for (; !isOver; await sleep(100)) calls.push(store.read(key).catch(ignore))
        await Promise.all(calls)
      })()
      const read = await within(patient(10_000), store.read(key), 'no answer').finally(() => {
        isOver = true
      })
      t.is(read?.version, record.version)
      await asking
      await store.close()
      await proxy.close()
    })
  }
}

test('when connections are lost beside commands of the app, no call gets the answer of another', async t => {
  const proxy = await faultProxy({ target: server as NonNullable<typeof server> })
  for (const { createClient } of Object.values(drivers)) {
    const client = createClient({ url: proxy.through(url) }).on('error', ignore)
    await client.connect()
    const store = redisStore({ client, prefix: `${newWorld()}:` })
    const records = Array.from({ length: 20 }, () => ({ key: newKey(), record: newRecord() }))
    for (const { key, record } of records) t.true(await store.write(key, record, null))
    let isOver = false
    const wrong: unknown[] = []
    const visitors = records.map(async ({ key, record }) => {
      for (; !isOver; await sleep(Math.random() * 5)) {
        const read = await store.read(key).catch(error => (/SETINFO/.test(error.message) ? error : record))
        if (read?.version !== record.version) wrong.push(read)
        const won = await store.write(key, { ...record, version: 'other' }, 'another').catch(() => false)
        if (won) wrong.push(won)
      }
    })
    const app = Array.from({ length: 5 }, async () => {
      // What version 5 keeps at a loss may never be answered.
      for (; !isOver; await sleep(Math.random() * 5))
        await Promise.race([client.get('app').catch(ignore), sleep(1_000)])
    })
    for (let n = 0; n < 40; n++) {
      await sleep(120)
      proxy.disconnect()
    }
    isOver = true
    await Promise.all([...visitors, ...app])
    t.deepEqual(wrong, [])
    client.destroy()
  }
  await proxy.close()
})

test('a server that forgets its scripts, and one that became a replica and a master again, on every client', async t => {
  for (const [kind, openClient] of Object.entries(clientKinds)) {
    const { client, end } = await openClient(url)
    const admin = await nodeRedis.createClient({ url }).on('error', ignore).connect()
    const ask = (...words: string[]) => admin.sendCommand(words)
    const store = redisStore({ client, prefix: `${newWorld()}:` })
    const [key, record] = [newKey(), newRecord({ subject: newKey() })]
    t.true(await store.write(key, record, null), kind)
    await ask('SCRIPT', 'FLUSH')
    t.true(await store.write(key, { ...record, version: 'second' }, record.version), kind)
    await ask('REPLICAOF', '127.0.0.1', '1')
    const refused = await t.throwsAsync(store.write(key, { ...record, version: 'third' }, 'second'), undefined, kind)
    t.regex(refused?.message ?? '', /^READONLY/, kind)
    await ask('REPLICAOF', 'NO', 'ONE')
    t.true(await store.write(key, { ...record, version: 'third' }, 'second'), kind)
    await end()
    admin.destroy()
  }
})

const unopened: Record<string, () => RedisClient> = {
  createClient: () => nodeRedis.createClient({ url }),
  createClientPool: () => nodeRedis.createClientPool({ url }),
  createCluster: () => nodeRedis.createCluster({ rootNodes: [{ url }] }),
  createSentinel: () => nodeRedis.createSentinel({ name: 'main', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] }),
  'createClient of node-redis 6': () => nodeRedis6.createClient({ url }),
  'createCluster of node-redis 6': () => nodeRedis6.createCluster({ rootNodes: [{ url }] }),
}
for (const [what, create] of Object.entries(unopened)) {
  anyTest(`a client that nobody connected is an error that says so: ${what}`, async t => {
    const store = redisStore({ client: create() })
    const keys = async () => {
      for await (const key of store.keys()) t.fail(key)
    }
    const calls = [store.read(newKey()), store.write(newKey(), newRecord(), null), store.destroy(newKey()), keys()]
    for (const call of calls as Promise<unknown>[]) {
      await t.throwsAsync(within(1_000, call, 'it hangs'), { message: /^The client is closed: await its connect\(\)/ })
    }
  })
}

test('a client that the app closed is an error that says so', async t => {
  for (const { createClient } of [nodeRedis, sixth]) {
    const client = createClient({ url })
    await client.connect()
    const store = redisStore({ client })
    t.is(await store.read(newKey()), undefined)
    await client.close()
    await t.throwsAsync(store.read(newKey()), { message: /^The client is closed/ })
  }
})

test('while a server refuses connections, an app says so in time, and heals', async t => {
  const proxy = await faultProxy({ target: server as NonNullable<typeof server> })
  for (const { createClient } of Object.values(drivers)) {
    const client = createClient({ url: proxy.through(url) }).on('error', ignore)
    await client.connect()
    const sessions = session({ store: redisStore({ client }) })
    await sessions.create({})
    await proxy.refuse()
    const creating = sessions.create({})
    const error = await t.throwsAsync(within(patient(4_500), creating, 'it hangs'), { code: 'ERR_SESSION_STORE' })
    t.regex(error?.message ?? '', /connect ECONNREFUSED 127\.0\.0\.1:\d+$/)
    await proxy.pass()
    await t.notThrowsAsync(sessions.create({}))
    client.destroy()
    await sessions.close()
  }
  await proxy.close()
})

test('a client that gave up says why', async t => {
  const proxy = await faultProxy({ target: server as NonNullable<typeof server> })
  const client = nodeRedis.createClient({ url: proxy.through(url), socket: { reconnectStrategy: false } })
  client.on('error', ignore)
  await client.connect()
  const store = redisStore({ client })
  await store.read(newKey())
  await proxy.reset()
  await t.throwsAsync(store.read(newKey()), { message: /The client is closed: it gave up after .*(ECONNRESET|closed)/ })
  await proxy.close()
})

anyTest('fifty stores on one client add few listeners to it, and none that hides its errors', async t => {
  const client = nodeRedis.createClient({ url: 'redis://127.0.0.1:1', socket: { reconnectStrategy: false } })
  for (let n = 0; n < 50; n++) redisStore({ client })
  t.true(client.listenerCount('ready') < 3)
  t.is(client.listenerCount('error'), 0)
})

anyTest('a url without ioredis is an error that says what to install, and a client needs none', async t => {
  const hook = `export const resolve = (name, context, next) => {
    if (name === 'ioredis') throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
    return next(name, context)
  }`
  const program = `
    import { register } from 'node:module'
    register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hook)}))
    const { redisStore } = await import('koa-session-store-redis')
    const { createClient } = await import('redis')
    redisStore({ client: createClient() })
    const store = redisStore({ url: 'redis://127.0.0.1:1' })
    for (let n = 0; n < 2; n++) await store.read('0'.repeat(64)).catch(error => console.log(error.message))
    await store.close()`
  const { stdout } = await promisify(execFile)('node', ['--input-type=module', '--eval', program], {
    cwd: import.meta.dirname,
  })
  const said = 'redisStore(): option url needs ioredis: npm install ioredis, or give a client of node-redis or iovalkey'
  t.is(stdout, `${said}\n${said}\n`)
})
