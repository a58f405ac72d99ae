import { createHash, randomUUID } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import { type MemoryStoreOptions, memoryStore, type SessionRecord } from 'koa-session-core'

const hour = 3_600_000

const hash = (text: string) => createHash('sha256').update(text).digest('hex')

function record(fields: Partial<SessionRecord> = {}): SessionRecord {
  return { data: '{}', expiresAt: Date.now() + 60_000, seenAt: Date.now(), version: randomUUID(), ...fields }
}

async function alive(store: ReturnType<typeof memoryStore>, names: string[]): Promise<string> {
  const found = await Promise.all(names.map(name => store.read(hash(name))))
  return names.filter((_, index) => found[index]).join('')
}

async function collect(keys: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = []
  for await (const key of keys) found.push(key)
  return found
}

test('beyond maxSessions the least recently written session goes', async t => {
  const store = memoryStore({ maxSessions: 3 })
  const a = record()
  for (const name of ['a', 'b', 'c']) await store.write(hash(name), name === 'a' ? a : record(), null)
  t.true(await store.write(hash('a'), record(), a.version))
  t.is(await alive(store, ['a', 'b', 'c']), 'abc', 'replacing a record makes no session more')
  await store.write(hash('d'), record(), null)
  t.is(await alive(store, ['a', 'b', 'c', 'd']), 'acd')
  await store.write(hash('e'), record(), null)
  t.is(await alive(store, ['a', 'b', 'c', 'd', 'e']), 'ade')
})

test('beyond maxSessions a touched session outlives one that was only read', async t => {
  const store = memoryStore({ maxSessions: 2 })
  const a = record()
  await store.write(hash('a'), a, null)
  await store.write(hash('b'), record(), null)
  t.true(await store.touch(hash('a'), { seenAt: Date.now(), expiresAt: Date.now() + 60_000 }, a.version))
  await store.read(hash('b'))
  await store.write(hash('c'), record(), null)
  t.is(await alive(store, ['a', 'b', 'c']), 'ac')
})

test('maxSessions of one keeps the newest, and destroy makes room', async t => {
  const store = memoryStore({ maxSessions: 1 })
  await store.write(hash('a'), record(), null)
  await store.write(hash('b'), record(), null)
  t.is(await alive(store, ['a', 'b']), 'b')
  await store.destroy(hash('b'))
  await store.write(hash('a'), record(), null)
  t.is(await alive(store, ['a', 'b']), 'a')
})

test('a losing or resent write and a losing touch do not make a session look recent', async t => {
  const store = memoryStore({ maxSessions: 2 })
  const a = record()
  await store.write(hash('a'), a, null)
  await store.write(hash('b'), record(), null)
  t.false(await store.write(hash('a'), record(), 'another'))
  t.true(await store.write(hash('a'), a, null))
  t.false(await store.touch(hash('a'), { seenAt: 0, expiresAt: Date.now() + 60_000 }, 'another'))
  await store.write(hash('c'), record(), null)
  t.is(await alive(store, ['a', 'b', 'c']), 'bc')
})

test('an evicted session is no longer listed under its subject', async t => {
  const store = memoryStore({ maxSessions: 1 })
  const subject = hash('someone')
  await store.write(hash('a'), record({ subject }), null)
  await store.write(hash('b'), record({ subject }), null)
  t.deepEqual(await collect(store.keys({ subject })), [hash('b')])
  await store.write(hash('c'), record(), null)
  t.deepEqual(await collect(store.keys({ subject })), [])
  t.deepEqual(await collect(store.keys()), [hash('c')])
})

test('a session that changes its subject while keys runs is not listed under the old one', async t => {
  const store = memoryStore()
  const subject = hash('someone')
  const records = new Map([hash('a'), hash('b')].map(key => [key, record({ subject })]))
  for (const [key, made] of records) await store.write(key, made, null)
  const found: string[] = []
  for await (const key of store.keys({ subject })) {
    found.push(key)
    for (const [each, { version }] of records) await store.write(each, record(), version)
  }
  t.is(found.length, 1)
})

test('a sweep ends also while sessions arrive faster than it walks', async t => {
  const store = memoryStore()
  for (let n = 0; n < 2_500; n++) await store.write(`${n}`, record(), null)
  let turns = 0
  const arriving = (async () => {
    for (; turns < 20; turns++) {
      for (let n = 0; n < 1_500; n++) await store.write(`${turns} ${n}`, record(), null)
      await new Promise(setImmediate)
    }
  })()
  await store.sweep()
  t.true(turns < 20, 'the sweep ended before sessions ceased to arrive')
  await arriving
})

test.serial(
  'sessions that ended, moved or had to go leave nothing in memory, nor does anything stay after close',
  async t => {
    setFlagsFromString('--expose-gc')
    const collectGarbage: () => void = runInNewContext('gc')
    const used = () => {
      collectGarbage()
      return process.memoryUsage().heapUsed / 2 ** 20
    }
    const small = memoryStore({ maxSessions: 10 })
    const large = memoryStore()
    const before = used()
    for (let n = 0; n < 30_000; n++) {
      const [first, second] = [record({ subject: hash(`${n}`) }), record({ subject: hash('everybody') })]
      await small.write(hash(`${n}`), first, null)
      await small.write(hash(`${n}`), second, first.version)
      await large.write(hash(`${n}`), first, null)
    }
    const full = used()
    await large.close()
    // A key or a set left behind for each of 30,000 sessions would be 3 MiB and more.
    const growth = used() - before
    t.true(growth < 2, `${growth} MiB`)
    t.true(full - before > 10, 'the sessions in use are large enough to be seen')
    t.is((await collect(small.keys())).length, 10)
    await t.throwsAsync(large.read(hash('0')))
  },
)

test('sweep and keys let other work run while they walk many sessions', async t => {
  const store = memoryStore()
  for (let n = 0; n < 5_000; n++) await store.write(hash(`${n}`), record(), null)
  for (const walk of [() => store.sweep(), () => collect(store.keys())]) {
    let turns = 0
    let timer = setImmediate(function turn() {
      turns++
      timer = setImmediate(turn)
    })
    await walk()
    clearImmediate(timer)
    t.true(turns >= 4, `${turns} turns of the event loop in 5 batches`)
  }
})

test('a sweep spares what is written or touched while it walks, and counts only what it removed', async t => {
  const store = memoryStore()
  for (let n = 0; n < 2_500; n++) {
    const made = record()
    await store.write(hash(`${n}`), made, null)
    await store.touch(hash(`${n}`), { seenAt: made.seenAt, expiresAt: Date.now() - hour }, made.version)
  }
  const sweeping = store.sweep()
  const last = hash('2499')
  t.true(await store.write(last, record(), null))
  await store.destroy(hash('2498'))
  t.is(await sweeping, 2_498)
  t.truthy(await store.read(last))
})

test('a sweep or listing aborted halfway rejects with the reason of its signal', async t => {
  const store = memoryStore()
  for (let n = 0; n < 2_500; n++) await store.write(hash(`${n}`), record(), null)
  const reason = new Error('enough')
  for (const walk of [store.sweep, (call: { signal: AbortSignal }) => collect(store.keys(call))]) {
    const controller = new AbortController()
    const walking = walk({ signal: controller.signal })
    controller.abort(reason)
    t.is(await t.throwsAsync(walking), reason)
  }
})

test('after close the sessions are gone and every other call rejects', async t => {
  const store = memoryStore()
  await store.write(hash('a'), record(), null)
  await store.close()
  await store.close()
  const times = { seenAt: 0, expiresAt: 0 }
  const calls: (() => Promise<unknown>)[] = [
    () => store.read(hash('a')),
    () => store.write(hash('a'), record(), null),
    () => store.touch(hash('a'), times, 'v'),
    () => store.destroy(hash('a')),
    () => store.sweep(),
    () => collect(store.keys()),
  ]
  for (const call of calls) await t.throwsAsync(call, { message: 'the memory store is closed' })
})

test('a sweep or listing under way when the store closes ends quietly', async t => {
  const store = memoryStore()
  const past = record({ expiresAt: Date.now() + 60_000 })
  for (let n = 0; n < 2_500; n++) await store.write(hash(`${n}`), past, null)
  const sweeping = store.sweep()
  const listing = collect(store.keys())
  await store.close()
  t.is(await sweeping, 0)
  t.true((await listing).length < 2_500)
})

test('a wrong or unknown option is a TypeError naming option, rule and value', t => {
  for (const value of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '10', null, 10n]) {
    const error = t.throws(() => memoryStore({ maxSessions: value } as MemoryStoreOptions), { instanceOf: TypeError })
    const shown = typeof value === 'string' ? `"${value}"` : typeof value === 'bigint' ? 'a bigint' : value
    t.is(error.message, `memoryStore(): option maxSessions must be a whole number from 1 on, got ${shown}`)
  }
  t.throws(() => memoryStore({ max: 5 } as MemoryStoreOptions), {
    instanceOf: TypeError,
    message: 'memoryStore(): option max is unknown: did you mean maxSessions?',
  })
  for (const options of [null, 5, 'x', []]) {
    t.throws(() => memoryStore(options as unknown as MemoryStoreOptions), {
      instanceOf: TypeError,
      message: /^memoryStore\(\) takes an object of options, got /,
    })
  }
})
