import { once } from 'node:events'
import { runInNewContext } from 'node:vm'
import { patient, within } from '@koa-session/behaviour/patience'
import { newKey, newRecord, newWorld, startProcesses } from '@koa-session/store-tests'
import { faultProxy, sharedServer, type TestServer } from '@koa-session/test-servers'
import anyTest, { type ExecutionContext } from 'ava'
import { mongoStore } from 'koa-session-store-mongo'
import { type CommandStartedEvent, MongoClient, type MongoClientOptions } from 'mongodb'

const server = await sharedServer('mongo')
// The one in memory takes an index on the same field with other options for the one that is there.
const strict = await sharedServer('mongo', { durable: true })
const test = server ? anyTest : anyTest.skip
const url = server?.url ?? 'mongodb://none'

/** A store on a collection of its own, and every command that its client sends. */
function stage(t: ExecutionContext, options: MongoClientOptions = {}, at = url) {
  const client = new MongoClient(at, { ...options, monitorCommands: true })
  t.teardown(() => client.close())
  const sent: CommandStartedEvent[] = []
  client.on('commandStarted', event => sent.push(event))
  const collection = client.db().collection<{ _id: string; expires: Date }>(newWorld())
  return { client, collection, sent, store: mongoStore({ collection }) }
}

const indexes = ['_id_', 'expires_1', 'subject_1__id_1']

test('the indexes are made once, with the first write', async t => {
  const { collection, sent, store } = stage(t)
  await store.read(newKey())
  t.deepEqual(
    await collection
      .listIndexes()
      .toArray()
      .catch(() => []),
    [],
    'a read makes nothing',
  )
  for (let n = 0; n < 3; n++) await store.write(newKey(), newRecord(), null)
  t.is(sent.filter(({ commandName }) => commandName === 'createIndexes').length, 2)
  const made = await collection.listIndexes().toArray()
  t.deepEqual(made.map(({ name }) => name).sort(), indexes)
  t.is(made.find(({ name }) => name === 'expires_1')?.expireAfterSeconds, 3_600, 'an hour of slack')
})

test('ten stores that start at once all work, and so do those of several processes', async t => {
  const { client, collection, store } = stage(t)
  const stores = Array.from({ length: 10 }, () =>
    mongoStore({ collection: client.db().collection(collection.collectionName) }),
  )
  t.deepEqual(await Promise.all(stores.map(each => each.write(newKey(), newRecord(), null))), Array(10).fill(true))
  const processes = await startProcesses(new URL('open.js', import.meta.url), url)
  const world = newWorld()
  const answers = processes.map(each => each.call(world, 'write', newKey(), newRecord(), null))
  t.deepEqual(await Promise.all(answers), Array(processes.length).fill(true))
  for (const name of [collection.collectionName, world]) {
    const made = await client.db().collection(name).listIndexes().toArray()
    t.deepEqual(made.map(each => each.name).sort(), indexes)
  }
  for (const each of processes) t.is(await each.end(), 0)
  let found = 0
  for await (const _ of store.keys()) found++
  t.is(found, 10)
})

/** A collection that answers createIndex by this error. */
function withoutIndexes(collection: object, code: number) {
  let refused = 0
  const proxied = new Proxy(collection, {
    get(target, name) {
      if (name !== 'createIndex') {
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      }
      return async () => {
        refused++
        throw Object.assign(new Error('refused'), { code })
      }
    },
  })
  return { store: mongoStore({ collection: proxied as never }), refused: () => refused }
}

/** The warnings about indexes that match, from here to the end of the test. */
function heardOf(t: ExecutionContext, about: RegExp): Error[] {
  const warnings: Error[] = []
  const listen = (warning: Error & { code?: string }) => {
    if (warning.code === 'KOA_SESSION_MONGO_INDEX' && about.test(warning.message)) warnings.push(warning)
  }
  process.on('warning', listen)
  t.teardown(() => void process.off('warning', listen))
  return warnings
}

test('without the right to make indexes the store works, and says so once', async t => {
  const { collection } = stage(t)
  const warnings = heardOf(t, /the user lacks the right/)
  for (let n = 0; n < 2; n++) {
    const { store, refused } = withoutIndexes(collection, 13)
    for (let m = 0; m < 2; m++) t.true(await store.write(newKey(), newRecord(), null))
    t.is(refused(), 2)
  }
  await new Promise(setImmediate)
  t.deepEqual(
    warnings.map(({ message }) => /index on (.*) \(/.exec(message)?.[1]),
    ['expires', 'subject, _id'],
  )
})

test('indexes that somebody else made in their own way are left alone', async t => {
  const { collection } = stage(t)
  for (const code of [85, 86]) {
    const { store, refused } = withoutIndexes(collection, code)
    t.true(await store.write(newKey(), newRecord(), null))
    t.is(refused(), 2)
  }
})

test('an index on expires that deletes sessions within an hour of their expiry is told once', async t => {
  const warnings = heardOf(t, /too early/)
  for (const [expireAfterSeconds, told] of [
    [undefined, 0],
    [3_600, 0],
    [7_200, 0],
    [0, 1],
    [3_599, 1],
  ] as const) {
    const { collection, store } = stage(t, {}, strict?.url)
    await collection.createIndex({ expires: 1 }, expireAfterSeconds === undefined ? {} : { expireAfterSeconds })
    for (let n = 0; n < 2; n++) t.true(await store.write(newKey(), newRecord(), null))
    await new Promise(setImmediate)
    t.is(warnings.length, told, `expireAfterSeconds: ${expireAfterSeconds}`)
  }
  t.regex(
    `${warnings[0]?.message}`,
    /index on expires deletes sessions too early: set its expireAfterSeconds to 3600 by collMod/,
  )
})

for (const code of [2, 67, 115, 238, 8000, 40_415]) {
  test(`a server that refuses the indexes by error ${code} is warned of once, and the store works`, async t => {
    const { collection } = stage(t)
    const warnings = heardOf(t, new RegExp(`\\(error ${code}\\)`))
    const { store, refused } = withoutIndexes(collection, code)
    const [key, record] = [newKey(), newRecord()]
    t.true(await store.write(key, record, null))
    t.true(await store.write(newKey(), newRecord(), null))
    t.deepEqual(await store.read(key), record)
    t.is(refused(), 2)
    await new Promise(setImmediate)
    t.deepEqual(
      warnings.map(({ message }) => /index on (.*) \(/.exec(message)?.[1]),
      ['expires', 'subject, _id'],
    )
  })
}

test('documents of another program are not listed, swept or harmed', async t => {
  const { collection, store } = stage(t)
  const foreign = [
    { _id: 'a', expires: new Date(1), session: '{}' },
    { _id: newKey(), expires: new Date(1), expiresAt: 1, subject: newKey() },
    { _id: newKey(), expires: new Date(1), expiresAt: Date.now() + 60_000, version: 7 },
  ]
  await collection.insertMany(foreign)
  const [key, record] = [newKey(), newRecord()]
  t.true(await store.write(key, record, null))
  t.is(await store.sweep(), 0)
  const found: string[] = []
  for await (const each of store.keys()) found.push(each)
  t.deepEqual(found, [key])
  await store.destroy(key)
  t.deepEqual(
    await collection.find().sort({ _id: 1 }).toArray(),
    foreign.sort((a, b) => (a._id < b._id ? -1 : 1)),
  )
})

test('an index that failed for another reason is tried again with the next write', async t => {
  const { collection } = stage(t)
  const { store, refused } = withoutIndexes(collection, 11_600)
  for (let n = 1; n < 3; n++) {
    await t.throwsAsync(store.write(newKey(), newRecord(), null), { message: 'refused' })
    t.is(refused(), n)
  }
})

test('an expired document that is still there reads as gone, can be replaced, and is swept', async t => {
  const { collection, store } = stage(t)
  const [replaced, swept] = [newKey(), newKey()]
  const expired = newRecord()
  for (const key of [replaced, swept]) {
    t.true(await store.write(key, expired, null))
    t.true(await store.touch(key, { seenAt: 1, expiresAt: Date.now() - 3_600_000 }, expired.version))
  }
  t.is(await collection.countDocuments(), 2)
  for (const key of [replaced, swept]) t.is(await store.read(key), undefined)
  t.false(await store.touch(replaced, { seenAt: 1, expiresAt: Date.now() + 1_000 }, expired.version))
  t.false(await store.write(replaced, newRecord(), expired.version))
  const record = newRecord()
  t.true(await store.write(replaced, record, null))
  t.deepEqual(await store.read(replaced), record)
  t.is(await store.sweep(), 1)
  t.deepEqual(
    (await collection.find().toArray()).map(({ _id }) => _id),
    [replaced],
  )
})

test('the date for the TTL index is when the session expires, also after a touch', async t => {
  const { collection, store } = stage(t)
  const [key, record] = [newKey(), newRecord()]
  await store.write(key, record, null)
  t.deepEqual((await collection.findOne({ _id: key }))?.expires, new Date(record.expiresAt))
  await store.touch(key, { seenAt: 1, expiresAt: record.expiresAt + 5_000 }, record.version)
  t.deepEqual((await collection.findOne({ _id: key }))?.expires, new Date(record.expiresAt + 5_000))
})

test('reads go to the primary and writes to the journal of a majority, with any settings of the client', async t => {
  const { sent, store } = stage(t, {
    readPreference: 'secondaryPreferred',
    writeConcern: { w: 0 },
    promoteValues: false,
  })
  const [key, subject, record] = [newKey(), newKey(), newRecord()]
  t.true(await store.write(key, record, null))
  t.deepEqual(await store.read(key), record)
  t.true(await store.write(key, { ...record, subject, version: 'next' }, record.version))
  t.true(await store.touch(key, { seenAt: 1, expiresAt: record.expiresAt }, 'next'))
  for await (const each of store.keys({ subject })) t.is(each, key)
  await store.destroy(key)
  await store.write(key, record, null)
  await store.touch(key, { seenAt: 1, expiresAt: Date.now() - 3_600_000 }, record.version)
  t.is(await store.sweep(), 1)
  const writes = ['insert', 'update', 'delete', 'createIndexes']
  const seen = new Set(sent.map(({ commandName }) => commandName))
  for (const name of [...writes, 'find']) t.true(seen.has(name), name)
  for (const { commandName, command } of sent) {
    if (writes.includes(commandName)) t.like(command.writeConcern, { w: 'majority', j: true }, commandName)
    // The driver makes it primaryPreferred where it is told to connect to one server only.
    else t.not(command.$readPreference?.mode, 'secondaryPreferred', commandName)
  }
})

test('a read, a touch, a destroy and a write are one round trip each', async t => {
  const { sent, store } = stage(t)
  await store.write(newKey(), newRecord(), null)
  const [key, record] = [newKey(), newRecord({ subject: newKey() })]
  const calls = [
    () => store.write(key, record, null),
    () => store.read(key),
    () => store.touch(key, { seenAt: 1, expiresAt: record.expiresAt + 1 }, record.version),
    () => store.write(key, { ...record, version: 'next' }, record.version),
    () => store.destroy(key),
  ]
  for (const call of calls) {
    sent.length = 0
    await call()
    t.is(sent.length, 1, sent.map(({ commandName }) => commandName).join())
  }
})

test('a call that is aborted while the server does not answer gives up its connection', async t => {
  const proxy = await faultProxy({ target: server as { host: string; port: number } })
  const client = new MongoClient(proxy.through(url), { maxPoolSize: 1 })
  t.teardown(async () => {
    await client.close()
    await proxy.close()
  })
  const store = mongoStore({ collection: client.db().collection(newWorld()) })
  const [key, record] = [newKey(), newRecord()]
  await store.write(key, record, null)
  const calls: ((signal: AbortSignal) => Promise<unknown>)[] = [
    signal => store.read(key, { signal }),
    signal => store.write(key, newRecord(), record.version, { signal }),
    signal => store.write(newKey(), newRecord(), null, { signal }),
    signal => store.write(key, newRecord({ expiresAt: 1 }), record.version, { signal }),
    signal => store.touch(key, { seenAt: 1, expiresAt: record.expiresAt }, record.version, { signal }),
    signal => store.destroy(key, { signal }),
    signal => store.sweep({ signal }),
    signal => store.keys({ signal })[Symbol.asyncIterator]().next(),
  ]
  for (const [n, call] of calls.entries()) {
    await proxy.hang()
    const closed = once(client, 'connectionClosed')
    const controller = new AbortController()
    const calling = t.throwsAsync(call(controller.signal), { message: 'the reason' })
    // Not earlier: what the proxy has not read by then it would pass on later.
    await proxy.swallowed()
    controller.abort(new Error('the reason'))
    await calling
    const [event] = await within(2_000, closed, `call ${n} keeps its connection`)
    t.is(event.reason, 'error', `call ${n}`)
    await proxy.pass()
    t.deepEqual(await store.read(key), record)
  }
})

test('a client of the app that found no server at first works when the server is there, and stays closed when the app closes it', async t => {
  const proxy = await faultProxy({ target: server as TestServer })
  t.teardown(() => proxy.close())
  await proxy.refuse()
  const { client, store } = stage(t, { serverSelectionTimeoutMS: patient(1_000) }, proxy.through(url))
  for (let n = 0; n < 2; n++) await t.throwsAsync(store.read(newKey()), { name: 'MongoServerSelectionError' })
  await proxy.pass()
  t.is(await store.read(newKey()), undefined)
  await client.close()
  await t.throwsAsync(store.read(newKey()), { name: 'MongoNotConnectedError' })
})

test('a store finds its collection by database and name', async t => {
  const { client } = stage(t)
  const [database, name] = [newWorld(), 'a.b']
  const store = mongoStore({ url, database, collection: name })
  t.teardown(() => store.close())
  const key = newKey()
  await store.write(key, newRecord(), null)
  t.is(await client.db(database).collection(name).countDocuments(), 1)
  await client.db(database).dropDatabase()
})

test('a client handed in stays open, one of the store ends after the calls under way', async t => {
  const { store, client, collection } = stage(t)
  await store.close()
  await t.throwsAsync(store.read(newKey()), { message: 'the mongo store is closed' })
  t.deepEqual(
    await client
      .db()
      .command({ ping: 1 })
      .then(({ ok }) => ok),
    1,
  )
  const own = mongoStore({ url, collection: collection.collectionName })
  const [key, record] = [newKey(), newRecord()]
  const writing = own.write(key, record, null)
  const closing = own.close()
  t.true(await writing)
  await closing
  await t.throwsAsync(own.read(key), { message: 'the mongo store is closed' })
  t.deepEqual(await mongoStore({ collection }).read(key), record)
})

test('a collection whose errors are of another realm, as in the sandbox of a test runner, is answered all the same', async t => {
  const { collection, store } = stage(t)
  const ErrorThere: ErrorConstructor = runInNewContext('Error')
  let refused = 0
  const foreign = new Proxy(collection, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name)
      if (name !== 'insertOne' || typeof method !== 'function') {
        return typeof method === 'function' ? method.bind(target) : method
      }
      return (...args: unknown[]) =>
        method.apply(target, args).catch((error: Error) => {
          refused++
          throw Object.assign(new ErrorThere(error.message), { name: error.name, code: Reflect.get(error, 'code') })
        })
    },
  })
  const [key, record] = [newKey(), newRecord()]
  t.true(await store.write(key, record, null))
  t.false(await mongoStore({ collection: foreign }).write(key, newRecord(), null))
  t.is(refused, 1)
})
