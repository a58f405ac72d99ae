import { runInNewContext } from 'node:vm'
import { newKey, newRecord, newWorld, ownServer, writeLoad } from '@koa-session/store-tests'
import anyTest, { type ExecutionContext } from 'ava'
import { Redis } from 'ioredis'
import { redisStore } from 'koa-session-store-redis'
import { earlierStore } from './earlier-store.js'

const server = await ownServer('redis')
const test = server ? anyTest.serial : anyTest.skip
anyTest.after.always(() => server?.end())

/** Everything the server was asked for while `use` ran, by clients and by scripts. */
async function monitored(t: ExecutionContext, use: () => Promise<unknown>) {
  const watcher = new Redis(server?.url ?? '')
  const monitor = await watcher.monitor()
  const asked: { words: string[]; isInner: boolean }[] = []
  monitor.on('monitor', (_time, words: string[], source: string) => {
    asked.push({ words: [String(words[0]).toLowerCase(), ...words.slice(1)], isInner: source === 'lua' })
  })
  await use()
  const end = newKey()
  await watcher.echo(end)
  while (asked.at(-1)?.words[1] !== end) await new Promise(resolve => setTimeout(resolve, 5))
  monitor.disconnect()
  watcher.disconnect()
  asked.pop()
  t.true(asked.length > 0)
  return asked
}

/** A store that has used each of its scripts before. */
async function stage(t: ExecutionContext) {
  const client = new Redis(server?.url ?? '')
  t.teardown(() => client.disconnect())
  const store = redisStore({ client, prefix: `${newWorld()}:` })
  const use = async () => {
    const [key, subject, record] = [newKey(), newKey(), newRecord()]
    await store.write(key, record, null)
    await store.write(key, { ...newRecord(), subject }, record.version)
    await store.read(key)
    await store.touch(key, { seenAt: 1, expiresAt: Date.now() + 9e9 }, record.version)
    for await (const each of store.keys({ subject })) await store.destroy(each)
    for await (const each of store.keys()) await store.destroy(each)
  }
  await use()
  return { client, store, use }
}

test('a call is one command, and a second one where the index of a subject is written or a session leaves it', async t => {
  const { store } = await stage(t)
  for (const [trips, subject] of [[1], [2, newKey()]] as const) {
    const [key, record] = [newKey(), newRecord(subject === undefined ? {} : { subject })]
    const next = { ...record, version: 'next' }
    const times = { seenAt: 1, expiresAt: record.expiresAt + 60_000 }
    const calls: [number, () => Promise<unknown>][] = [
      [trips, () => store.write(key, record, null)],
      [1, () => store.read(key)],
      [1, () => store.touch(key, times, record.version)],
      [trips, () => store.write(key, next, record.version)],
      [trips, () => store.write(key, { ...record, expiresAt: 1, version: 'end' }, next.version)],
      [1, () => store.read(key)],
      [1, () => store.destroy(key)],
    ]
    for (const [count, call] of calls) {
      const asked = (await monitored(t, call)).filter(({ isInner }) => !isInner)
      t.is(asked.length, count, asked.map(({ words }) => words[0]).join())
    }
  }
})

test('the index of the subject is written before the session', async t => {
  const { store } = await stage(t)
  const [key, subject] = [newKey(), newKey()]
  const asked = await monitored(t, () => store.write(key, newRecord({ subject }), null))
  const keys = asked.filter(({ isInner }) => !isInner).map(({ words }) => words[3] ?? '')
  t.true(keys[0]?.endsWith(`subject:${subject}`) && keys[1]?.endsWith(key), keys.join())
})

test('a read is a GET, every script touches the one key it names, and no command is KEYS', async t => {
  const { use } = await stage(t)
  let key: string | undefined
  for (const { words, isInner } of await monitored(t, use)) {
    const [name = '', ...args] = words
    t.true(['get', 'evalsha', 'zrem', 'scan'].includes(name) || isInner, name)
    t.not(name, 'keys')
    if (isInner) t.is(args[0], key, `${name} in a script`)
    else if (name === 'evalsha') {
      t.is(args[1], '1')
      key = args[2]
    }
  }
})

test('a Cluster client that may read from replicas asks by a script, which goes to the master', async t => {
  const { client } = await stage(t)
  const key = newKey()
  const prefix = `${newWorld()}:`
  const [early, record] = [newKey(), newRecord()]
  await earlierStore(client, prefix).write(early, record, null)
  for (const [scaleReads, command] of [
    ['master', 'get'],
    ['slave', 'evalsha'],
    ['all', 'evalsha'],
    [() => client, 'evalsha'],
    [undefined, 'evalsha'],
  ] as const) {
    const cluster = {
      call: (name: string, ...args: (string | number)[]) => client.call(name, ...args),
      nodes: () => [client],
      options: { scaleReads },
    }
    const store = redisStore({ client: cluster, prefix })
    const asked = await monitored(t, () => store.read(key))
    t.is(asked.find(({ isInner }) => !isInner)?.words[0], command, String(scaleReads))
    t.deepEqual(await store.read(early), record)
  }
})

test('a server that forgets its scripts in the middle of the work makes no call fail', async t => {
  const { client, store } = await stage(t)
  const load = writeLoad(store)
  for (let n = 0; n < 20; n++) {
    await load.advance(10)
    await client.script('FLUSH')
  }
  await load.stop()
  t.is(load.failed, 0)
  await load.verify(store)
})

test('a client with a prefix of its own sees its sessions, and those only', async t => {
  const { client, store: other } = await stage(t)
  const [mine, theirs] = [newKey(), newKey()]
  const prefix = `${newWorld()}[*]\\?:`
  const prefixed = client.duplicate({ keyPrefix: prefix })
  t.teardown(() => prefixed.disconnect())
  const store = redisStore({ client: prefixed })
  await store.write(mine, newRecord(), null)
  await other.write(theirs, newRecord(), null)
  const found: string[] = []
  for await (const key of store.keys()) found.push(key)
  t.deepEqual(found, [mine])
  t.is(await client.exists(`${prefix}session:${mine}`), 1)
})

test('a value under the prefix that is no session is not listed', async t => {
  const { client } = await stage(t)
  const prefix = `${newWorld()}:`
  const key = newKey()
  await client.hset(`${prefix}${key}`, 'expiresAt', Date.now() + 60_000)
  await client.set(`${prefix}${key}0`, 'a')
  await client.set(`${prefix}${key.slice(1)}`, 'a')
  await client.set(`${prefix}app:${newKey()}`, 'a')
  const found: string[] = []
  for await (const each of redisStore({ client, prefix }).keys()) found.push(each)
  t.deepEqual(found, [key])
})

test('a client handed in stays open', async t => {
  const { client, store } = await stage(t)
  await store.close()
  t.is(await client.ping(), 'PONG')
  await t.throwsAsync(store.read(newKey()), { message: 'the redis store is closed' })
})

test('a client whose errors are of another realm, as in the sandbox of a test runner, is answered all the same', async t => {
  const { client } = await stage(t)
  const ErrorThere: ErrorConstructor = runInNewContext('Error')
  let refused = 0
  const foreign = {
    call: (command: string, ...args: (string | number)[]) =>
      client.call(command, ...args).catch((error: Error) => {
        refused++
        throw Object.assign(new ErrorThere(error.message), { name: error.name })
      }),
  }
  const store = redisStore({ client: foreign, prefix: `${newWorld()}:` })
  const [key, record] = [newKey(), newRecord()]
  await client.script('FLUSH')
  t.true(await store.write(key, record, null))
  t.deepEqual(await store.read(key), record)
  t.true(refused > 0, 'the server was asked for a script that it does not know')
})
