import { AssertionError } from 'node:assert'
import { readdir } from 'node:fs/promises'
import { isFull } from '@koa-session/behaviour/full'
import test from 'ava'
import fc from 'fast-check'
import { memoryStore, type SessionRecord, type Store } from 'koa-session-core'
import { type Capability, type ConformanceOptions, conformanceCases } from 'koa-session-core/testkit'
import { contractModel, type StoreAction, type StoreAnswer } from '../dist/testkit/histories.js'
import { linearizable, type Model, type Operation } from '../dist/testkit/linearizability.js'
import { BackendError, brokenStores, type FullStore, misbehaviours, storesWith } from './broken-stores.js'
import { runs } from './support/runs.js'

const all: Capability[] = ['sweep', 'keys', 'shared']

/** Memory stores as several processes see one backend: the same world is the same data, closing ends only the view. */
function sharedMemory(): (world: string) => Store {
  const worlds = new Map<string, FullStore>()
  return world => {
    const backend = worlds.get(world) ?? memoryStore()
    worlds.set(world, backend)
    return viewOf(backend)
  }
}

function viewOf({ read, write, touch, destroy, sweep, keys, ...backend }: FullStore): FullStore {
  let isClosed = false
  const begin = async () => {
    if (isClosed) throw new BackendError('closed')
  }
  return {
    ...backend,
    read: (...args) => begin().then(() => read(...args)),
    write: (...args) => begin().then(() => write(...args)),
    touch: (...args) => begin().then(() => touch(...args)),
    destroy: (...args) => begin().then(() => destroy(...args)),
    sweep: (...args) => begin().then(() => sweep(...args)),
    async *keys(call) {
      await begin()
      yield* keys(call)
    },
    async close() {
      isClosed = true
    },
  }
}

function find(title: string, options: ConformanceOptions) {
  const found = conformanceCases(options).find(each => each.title === title)
  if (!found) throw new Error(`there is no case '${title}'`)
  return found
}

const rightStores: Record<string, ConformanceOptions> = {
  'the memory store': { create: () => memoryStore(), capabilities: ['sweep', 'keys'] },
  ...(isFull && { 'memory shared by several stores': { create: sharedMemory(), capabilities: all } }),
  // The broken stores are this one with a flaw.
  'a store on a table': { create: storesWith(() => ({})), capabilities: all },
  'a store without abilities': {
    create: storesWith(() => ({ sweep: undefined, keys: undefined })),
    capabilities: ['shared'],
  },
}

// One at a time: some cases look at single milliseconds.
for (const [name, options] of Object.entries(rightStores)) {
  for (const { title, run } of conformanceCases(options)) {
    test.serial(`${name}: ${title}`, async t => {
      await t.notThrowsAsync(run())
    })
  }
}

const titles = conformanceCases({ create: () => memoryStore(), capabilities: all }).map(({ title }) => title)

test('for every case there is a broken store', t => {
  t.is(new Set(titles).size, titles.length, 'no two cases have the same title')
  t.deepEqual(Object.keys(brokenStores).sort(), titles.toSorted())
  for (const flaws of Object.values(brokenStores)) t.not(Object.keys(flaws).length, 0)
})

for (const [title, flaws] of Object.entries(brokenStores)) {
  for (const [flaw, broken] of Object.entries(flaws)) {
    test.serial(`'${title}' catches: ${flaw}`, async t => {
      const options = { create: storesWith(broken), capabilities: all, seed: 'always the same' }
      const error = await t.throwsAsync(find(title, options).run())
      t.true(error instanceof AssertionError || error instanceof BackendError, error.stack ?? '')
    })
  }
}

test.serial(
  'a store that ends sessions too early is caught, even if the machine stands still before the first end',
  async t => {
    let reads = 0
    const inner = memoryStore()
    const create = (): Store => ({
      ...inner,
      write: (key, record, expected) => inner.write(key, { ...record, expiresAt: record.expiresAt - 60 }, expected),
      async read(key) {
        const record = await inner.read(key)
        if (++reads === 3) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150)
        return record && { ...record, expiresAt: record.expiresAt + 60 }
      },
    })
    const { run } = find('until the instant expiresAt a session lives', { create, capabilities: [] })
    await t.throwsAsync(run(), { instanceOf: AssertionError, message: /up to the millisecond before expiresAt/ })
  },
)

for (const ability of ['sweep', 'keys'] as const) {
  test(`a store that has ${ability} but does not declare it fails a case`, async t => {
    const title = `a store has ${ability} exactly when its capabilities name it`
    const { run } = find(title, { create: () => memoryStore(), capabilities: [] })
    await t.throwsAsync(run, {
      instanceOf: AssertionError,
      message: `The store has the method ${ability}, so its capabilities name '${ability}'`,
    })
  })
}

test('each case has a theme, and the themes of races and conditions are there without any ability', t => {
  for (const capabilities of [all, []]) {
    const themes = new Set(conformanceCases({ create: () => memoryStore(), capabilities }).map(({ theme }) => theme))
    t.true(themes.has('races') && themes.has('conditions') && themes.size >= 6 && !themes.has(undefined as never))
  }
})

test('cases that need an ability are there exactly when it is declared', t => {
  const of = (capabilities: Capability[]) => conformanceCases({ create: () => memoryStore(), capabilities }).length
  const [none, sweep, keys, shared] = [of([]), of(['sweep']), of(['keys']), of(['shared'])]
  for (const more of [sweep, keys, shared]) t.true(more > none)
  t.is(of(all), sweep + keys + shared - 2 * none)
})

test('every case opens worlds of its own, closes every store it opened, and opens one only without `shared`', async t => {
  for (const capabilities of [all, ['sweep', 'keys'] as const]) {
    const worlds = new Set<string>()
    for (const { title } of conformanceCases({ create: () => memoryStore(), capabilities })) {
      const opened = new Map<string, Set<Store>>()
      const closed = new Set<Store>()
      const stores = storesWith(() => ({}))
      const create = (world: string): Store => {
        const { close, ...store } = capabilities === all ? stores(world) : storesWith(() => ({}))(world)
        const watched: Store = {
          ...store,
          close() {
            closed.add(watched)
            return close()
          },
        }
        opened.set(world, (opened.get(world) ?? new Set()).add(watched))
        return watched
      }
      await find(title, { create, capabilities }).run()
      for (const [world, here] of opened) {
        t.regex(world, /^[a-z][a-z0-9]{15}$/)
        t.false(worlds.has(world), title)
        worlds.add(world)
        // To find out whether data are shared takes two.
        const most = title.endsWith('name shared') ? 2 : 1
        if (!capabilities.some(each => each === 'shared')) t.is(here.size, most, title)
        t.deepEqual([...here].filter(store => !closed.has(store)).length, 0, title)
      }
      t.not(opened.size, 0)
    }
  }
})

test('a case that fails closes what it opened, and tells its own failure rather than one of closing', async t => {
  let closed = 0
  const create = (): Store => ({
    ...memoryStore(),
    read: async () => null as unknown as undefined,
    async close() {
      closed++
      throw new BackendError('cannot close')
    },
  })
  const { run } = find('reading a key that was never written is undefined', { create, capabilities: ['sweep', 'keys'] })
  await t.throwsAsync(run, {
    instanceOf: AssertionError,
    message: /unknown session is undefined.*Got null, wanted undef/,
  })
  t.is(closed, 1)
})

test('a case fails when its store cannot be opened, or cannot be closed', async t => {
  const title = 'reading a key that was never written is undefined'
  const reason = new BackendError('no server')
  const cannot = () => {
    throw reason
  }
  t.is(await t.throwsAsync(find(title, { create: cannot, capabilities: all }).run()), reason)
  const unclosable = (): Store => ({ ...memoryStore(), close: () => Promise.reject(reason) })
  t.is(await t.throwsAsync(find(title, { create: unclosable, capabilities: all }).run()), reason)
})

for (const [title, misbehave] of Object.entries(misbehaviours)) {
  test.serial(`every case ends, and each failure says what was expected, although ${title}`, async t => {
    const stores = storesWith(() => ({}))
    const create = (world: string) => misbehave(stores(world) as FullStore)
    const cases = conformanceCases({ create, capabilities: all, timeout: 250 })
    const failures = (await Promise.allSettled(cases.map(({ run }) => run()))).flatMap((end, n) =>
      end.status === 'rejected' ? [{ title: cases[n]?.title, error: end.reason as Error }] : [],
    )
    t.not(failures.length, 0)
    for (const { title, error } of failures) {
      t.true(error instanceof AssertionError || error instanceof BackendError, `${title}: ${error.stack}`)
      const isHistory = /seed/.test(error.message)
      t.true(isHistory || error.message.length < 700, `${title}: ${error.message}`)
      t.true((error.message.match(/[0-9a-f]{64}/g) ?? []).length <= 2, `${title}: ${error.message}`)
    }
  })
}

const told: [flaw: string, create: ConformanceOptions['create'], message: RegExp][] = [
  [
    'create never settles',
    () => new Promise(() => {}),
    /^Opening a store should take less than 500 ms. It has not ended$/,
  ],
  ['create gives nothing', () => undefined as never, /^create gives a store, or a promise of one. It gave undefined$/],
  [
    'a method is missing',
    () => ({ ...memoryStore(), touch: undefined }) as never,
    /^A store has the methods .*touch is m/,
  ],
  [
    'read never settles',
    () => ({ ...memoryStore(), read: () => new Promise(() => {}) }),
    /^A call of read should take less than/,
  ],
  [
    'close never settles',
    () => ({ ...memoryStore(), close: () => new Promise(() => {}) }),
    /^A call of close should take less than/,
  ],
  [
    'read gives no promise',
    () => ({ ...memoryStore(), read: () => null }) as never,
    /^read gives a promise. It gave null$/,
  ],
  [
    'read throws',
    () => ({
      ...memoryStore(),
      read() {
        throw new BackendError('at once')
      },
    }),
    /^read gives a promise, which rejects when the call fails. It threw Error: at once/,
  ],
]
for (const [flaw, create, message] of told) {
  test.serial(`a failure says what the store should do: ${flaw}`, async t => {
    const title = 'reading a key that was never written is undefined'
    const { run } = find(title, { create, capabilities: ['sweep', 'keys'], timeout: 500 })
    await t.throwsAsync(run, { instanceOf: AssertionError, message })
  })
}

test('a store that resolves only after its case has failed is closed', async t => {
  const title = 'reading a key that was never written is undefined'
  let give = (_store: Store) => {}
  const opening = new Promise<Store>(resolve => {
    give = resolve
  })
  const { run } = find(title, { create: () => opening, capabilities: [], timeout: 50 })
  await t.throwsAsync(run, { message: /^Opening a store should take/ })
  let closed = 0
  await new Promise<void>(resolve => give({ ...memoryStore(), close: async () => resolve(void closed++) }))
  t.is(closed, 1)
})

test('stores that share data but do not declare it fail a case, and those that refuse a second one do not', async t => {
  const title = 'two stores on one world see the same data exactly when the capabilities name shared'
  const shared = find(title, { create: sharedMemory(), capabilities: ['sweep', 'keys'] })
  await t.throwsAsync(shared.run, {
    instanceOf: AssertionError,
    message: "What one store writes the other reads, so the capabilities name 'shared'",
  })
  const opened = new Set<string>()
  const create = (world: string): Store => {
    if (opened.has(world)) throw new BackendError('locked')
    opened.add(world)
    return memoryStore()
  }
  await t.notThrowsAsync(find(title, { create, capabilities: ['sweep', 'keys'] }).run())
  const declared = find(title, { create, capabilities: ['sweep', 'keys', 'shared'] })
  await t.throwsAsync(declared.run, { instanceOf: BackendError })
})

test('a create that returns a promise may do I/O before it resolves', async t => {
  const title = 'opening a store does no I/O and starts no timer'
  const create = async () => {
    await readdir('.')
    return memoryStore()
  }
  await t.notThrowsAsync(find(title, { create, capabilities: ['sweep', 'keys'] }).run())
})

test('a list of keys in a message is short', async t => {
  const create = storesWith(store => ({
    async *keys(call) {
      let n = 0
      for await (const key of store.keys(call)) if (n++ % 2) yield key
    },
  }))
  const { run } = find('keys yields hundreds of sessions, each once', { create, capabilities: all })
  const { message } = await t.throwsAsync(run, { instanceOf: AssertionError })
  t.regex(
    message,
    /^All 300 sessions are listed. keys yielded 150 times, expected 300; missing: \w{20}…, .* and 147 more$/,
  )
})

test('the same seed plans the same calls, and a failure prints it with the history', async t => {
  const title = 'random calls of several clients at the same time have one order that explains every answer'
  const broken = storesWith(() => ({ read: async () => undefined }))
  const failure = async () => {
    const { run } = find(title, { create: broken, capabilities: ['sweep', 'keys'], seed: 'abc' })
    const { message } = await t.throwsAsync(run, { instanceOf: AssertionError })
    t.regex(message, /\(seed: 'abc'\)\n\d+-\d+ client \d: /)
    return message.match(/client \d step \d/g)?.sort()[0]
  }
  t.is(await failure(), await failure())
})

test('wrong options of conformanceCases are a TypeError naming option, rule and value', t => {
  t.throws(() => conformanceCases({ create: 5, capabilities: [] } as unknown as ConformanceOptions), {
    instanceOf: TypeError,
    message: 'conformanceCases(): option create must be a function, got 5',
  })
  const capabilities = ['key'] as unknown as Capability[]
  t.throws(() => conformanceCases({ create: () => memoryStore(), capabilities }), {
    instanceOf: TypeError,
    message:
      'conformanceCases(): option capabilities must be an array of no others than sweep, keys, shared, got "key"',
  })
  for (const given of [undefined, null, 'keys', { length: 0 }]) {
    const options = { create: () => memoryStore(), capabilities: given } as unknown as ConformanceOptions
    t.throws(() => conformanceCases(options), { instanceOf: TypeError, message: /^conformanceCases\(\): option capab/ })
  }
  t.throws(
    () => conformanceCases({ create: () => memoryStore(), capabilities: [], sed: 'abc' } as ConformanceOptions),
    {
      instanceOf: TypeError,
      message: 'conformanceCases(): option sed is unknown: did you mean seed?',
    },
  )
})

/** `client began-ended`, what was called and what came back. */
type Line<Call, Result> = [client: number, began: number, ended: number, call: Call, result: Result]

const historyOf = <Call, Result>(lines: Line<Call, Result>[]): Operation<Call, Result>[] =>
  lines.map(([client, began, ended, call, result]) => ({ client, began, ended, call, result }))

const now = 1_000
const record = (version: string, fields: Partial<SessionRecord> = {}): SessionRecord => ({
  data: `data of ${version}`,
  expiresAt: now + 60,
  seenAt: now,
  version,
  ...fields,
})
const read: StoreAction = { method: 'read' }
const destroy: StoreAction = { method: 'destroy' }
const write = (version: string, expected: string | null): StoreAction => ({
  method: 'write',
  record: record(version),
  expected,
})
const end = (version: string, expected: string | null): StoreAction => ({
  method: 'write',
  record: record(version, { expiresAt: now }),
  expected,
})
const touch = (expected: string, expiresAt = now + 90): StoreAction => ({
  method: 'touch',
  times: { seenAt: now + 5, expiresAt },
  expected,
})
const touched = (version: string) => record(version, { seenAt: now + 5, expiresAt: now + 90 })

const histories: [title: string, explained: boolean, lines: Line<StoreAction, StoreAnswer>[]][] = [
  ['an empty history is explained', true, []],
  [
    'one call after the other is explained by the contract',
    true,
    [
      [0, 1, 2, read, undefined],
      [0, 3, 4, write('a', null), true],
      [0, 5, 6, write('a', null), true],
      [0, 7, 8, write('b', null), false],
      [0, 9, 10, write('b', 'a'), true],
      [0, 11, 12, write('a', null), false],
      [0, 13, 14, touch('a'), false],
      [0, 15, 16, touch('b'), true],
      [0, 17, 18, write('b', 'a'), true],
      [0, 19, 20, read, touched('b')],
      [0, 21, 22, end('c', 'a'), false],
      [0, 23, 24, end('c', 'b'), true],
      [0, 25, 26, read, undefined],
      [0, 27, 28, write('d', 'c'), false],
      [0, 29, 30, write('d', null), true],
      [0, 31, 32, touch('d', now), true],
      [0, 33, 34, touch('d'), false],
      [0, 35, 36, destroy, undefined],
    ],
  ],
  [
    'calls at the same time may take effect in either order',
    true,
    [
      [0, 1, 8, write('a', null), true],
      [1, 2, 3, read, undefined],
      [1, 4, 5, read, record('a')],
      [2, 6, 7, destroy, undefined],
      [1, 9, 10, read, undefined],
    ],
  ],
  [
    'an order found only by going back is found',
    true,
    [
      [0, 1, 10, destroy, undefined],
      [1, 2, 9, write('a', null), true],
      [2, 3, 8, write('b', null), true],
      [3, 11, 12, read, record('a')],
    ],
  ],
  [
    'two winners at one version have no order',
    false,
    [
      [0, 1, 2, write('a', null), true],
      [0, 3, 6, write('b', 'a'), true],
      [1, 4, 5, write('c', 'a'), true],
    ],
  ],
  [
    'a read of what was replaced before it began has no order',
    false,
    [
      [0, 1, 2, write('a', null), true],
      [0, 3, 4, write('b', 'a'), true],
      [1, 5, 6, read, record('a')],
    ],
  ],
  [
    'new, then old, has no order, even while the write goes on',
    false,
    [
      [0, 1, 2, write('a', null), true],
      [0, 3, 10, write('b', 'a'), true],
      [1, 4, 5, read, record('b')],
      [2, 6, 7, read, record('a')],
    ],
  ],
  [
    'a session back after its destroy has no order',
    false,
    [
      [0, 1, 2, write('a', null), true],
      [1, 3, 4, destroy, undefined],
      [0, 5, 6, touch('a'), false],
      [2, 7, 8, read, record('a')],
    ],
  ],
  [
    'a touch that undid a write has no order',
    false,
    [
      [0, 1, 2, write('a', null), true],
      [0, 3, 8, touch('a'), true],
      [1, 4, 5, write('b', 'a'), true],
      [1, 9, 10, read, touched('a')],
    ],
  ],
  [
    'a writer that lost against nobody has no order',
    false,
    [
      [0, 1, 2, write('a', null), true],
      [0, 3, 4, write('b', 'a'), false],
    ],
  ],
  [
    'a record of two states has no order',
    false,
    [
      [0, 1, 2, write('a', null), true],
      [0, 3, 6, write('b', 'a'), true],
      [1, 4, 5, read, record('b', { data: 'data of a' })],
    ],
  ],
]

for (const [title, explained, lines] of histories) {
  test(title, t => t.is(linearizable(contractModel(now), historyOf(lines)), explained))
}

test('the lines of a history may come in any order', t => {
  const [, , lines] = histories[1] as (typeof histories)[number]
  t.true(linearizable(contractModel(now), historyOf(lines.toReversed())))
})

test('a long history of many clients is decided, explained or not', t => {
  const lines: Line<StoreAction, StoreAnswer>[] = [[0, 0, 1, write('0', null), true]]
  for (let round = 1; round <= 60; round++) {
    for (let client = 0; client < 6; client++) {
      const began = round * 20 + client
      const call = write(`${client === round % 6 ? round : `${round}.${client}`}`, `${round - 1}`)
      lines.push([client, began, began + 10, call, client === round % 6])
    }
  }
  t.true(linearizable(contractModel(now), historyOf(lines)))
  lines.push([0, 5_000, 5_001, read, record('59')])
  t.false(linearizable(contractModel(now), historyOf(lines)))
})

/** A register of one digit, small enough to try every order. */
type Digit = { set: number } | 'get' | { swap: number; from: number }
const register: Model<Digit, number | boolean> = {
  initial: '0',
  apply(state, call) {
    if (call === 'get') return { state, result: Number(state) }
    if ('set' in call) return { state: `${call.set}`, result: true }
    return Number(state) === call.from ? { state: `${call.swap}`, result: true } : { state, result: false }
  },
}

/** The definition word for word: every order, those that keep real time, those that give the results. */
function explainedByBruteForce(history: Operation<Digit, number | boolean>[], state = register.initial): boolean {
  return (
    history.length === 0 ||
    history.some(operation => {
      if (history.some(other => other.ended < operation.began)) return false
      const after = register.apply(state, operation.call)
      const rest = history.filter(other => other !== operation)
      return after.result === operation.result && explainedByBruteForce(rest, after.state)
    })
  )
}

const digit = fc.integer({ min: 0, max: 2 })
const operation = fc.oneof(
  fc.record({ call: fc.constant('get' as const), result: digit }),
  fc.record({ call: fc.record({ set: digit }), result: fc.constant(true) }),
  fc.record({ call: fc.record({ swap: digit, from: digit }), result: fc.boolean() }),
)

/** Up to three clients with up to three calls each, whose beginnings and ends are dealt out in any order. */
const tinyHistory = fc.array(fc.array(operation, { maxLength: 3 }), { minLength: 1, maxLength: 3 }).chain(lanes => {
  const ends = lanes.flatMap((lane, client) => lane.flatMap(() => [client, client]))
  return fc.shuffledSubarray(ends, { minLength: ends.length, maxLength: ends.length }).map(order =>
    lanes.flatMap((lane, client) => {
      const times = order.flatMap((each, time) => (each === client ? [time] : []))
      return lane.map((made, n) => ({
        ...made,
        client,
        began: times[2 * n] as number,
        ended: times[2 * n + 1] as number,
      }))
    }),
  )
})

test('the search agrees with trying every order, on tiny histories of a register', t => {
  const counts = { explained: 0, not: 0 }
  fc.assert(
    fc.property(tinyHistory, history => {
      const expected = explainedByBruteForce(history)
      counts[expected ? 'explained' : 'not']++
      return linearizable(register, history) === expected
    }),
    { numRuns: runs(3_000) },
  )
  t.true(counts.explained > runs(300) && counts.not > runs(300), JSON.stringify(counts))
})
