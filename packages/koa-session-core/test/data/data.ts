import test from 'ava'
import fc from 'fast-check'
import { type Codec, isSessionError, jsonCodec } from 'koa-session-core'
import { DataText } from '../../dist/data.js'
import { type Data, GuardedCodec } from '../../dist/guarded-codec.js'
import { anyValue, plainValue, portrait, richValue } from '../codec-values.js'
import { runs } from '../support/runs.js'

const codec = new GuardedCodec(jsonCodec())

/** The user's object: without a prototype, as `ctx.session` is as far as its data are concerned. */
const bagOf = (data: object): Data =>
  Object.defineProperties(Object.create(null), Object.getOwnPropertyDescriptors(data)) as Data

function opened(data: object): { base: DataText; bag: any } {
  const base = new DataText(codec, codec.encodeData(data))
  return { base, bag: bagOf(base.open()) }
}

function outcome(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    if (isSessionError(error)) return `${error.code}: ${error.message}`
    throw error
  }
}

const sample = () => ({
  counter: 12,
  user: { name: 'Ada', roles: ['admin'], empty: [], address: { city: 'Wien' } },
  list: [0, [1], { two: 2 }],
  nothing: null,
})

test('What the app was given and did not change is the same text', t => {
  for (const data of [{}, sample(), { a: new Date(0), b: new Map([[1, [undefined]]]) }, { ['__proto__']: { a: 1 } }]) {
    const { base, bag } = opened(data)
    t.deepEqual(base.changes(bag), [])
    t.is(base.next(bag), base)
    t.is(portrait(base.copy()), portrait(base.open()))
  }
})

const changes: [title: string, change: (bag: any) => void, names: string[], plain?: boolean][] = [
  ['a primitive', bag => bag.counter++, ['counter']],
  ['a property inside', bag => (bag.user.address.city = 'Graz'), ['user']],
  ['an added property inside', bag => (bag.user.address.zip = 1010), ['user']],
  ['a deleted property inside', bag => delete bag.user.address.city, ['user']],
  [
    'a property named __proto__',
    bag => Object.defineProperty(bag.user, '__proto__', { value: 1, enumerable: true }),
    ['user'],
  ],
  ['a pushed element', bag => bag.list.push(1), ['list']],
  ['a popped element', bag => bag.list.pop(), ['list']],
  ['elements in another order', bag => bag.list.reverse(), ['list']],
  ['an element inside', bag => (bag.list[1][0] = 2), ['list']],
  ['a deleted key', bag => delete bag.list, ['list']],
  ['a new key', bag => (bag.more = { a: 1 }), ['more']],
  ['two primitives', bag => ([bag.counter, bag.nothing] = [null, 12]), ['counter', 'nothing']],
  ['an object for another', bag => (bag.user = { name: 'Eve' }), ['user']],
  ['an object inside for another', bag => (bag.user.address = { city: 'Graz' }), ['user']],
  ['an array for an object', bag => (bag.user = ['Ada']), ['user']],
  ['a primitive for an object', bag => (bag.user.address = null), ['user']],
  ['keys inside in another order', bag => (bag.user.name = (delete bag.user.name, 'Ada')), ['user']],
  ['-0 for 0', bag => (bag.list[0] = -0), ['list'], false],
  ['NaN for a number', bag => (bag.counter = Number.NaN), ['counter'], false],
  ['undefined for null', bag => (bag.nothing = undefined), ['nothing'], false],
  ['a property inside that is undefined', bag => (bag.user.name = undefined), ['user'], false],
  ['a hole', bag => delete bag.list[1], ['list'], false],
  ['a hole in an empty array', bag => (bag.user.empty.length = 1), ['user'], false],
  ['a Date', bag => (bag.user.at = new Date(0)), ['user'], false],
  ['an object without its prototype', bag => Object.setPrototypeOf(bag.user, null), ['user'], false],
  ['a cycle', bag => (bag.user.self = bag.user), ['user'], false],
  ['an object in two places of a key', bag => (bag.user.home = bag.user.address), ['user'], false],
  ['an object of another key', bag => (bag.home = bag.user.address), ['home'], false],
  ['an equal object of another key', bag => (bag.list[1] = bag.more = [1]), ['more'], false],
]

for (const [title, change, names, plain = true] of changes) {
  test(`A change is found, and stored: ${title}`, t => {
    const { base, bag } = opened(sample())
    change(bag)
    t.deepEqual(base.changes(bag).sort(), names.sort())
    const next = base.next(bag)
    t.is(next.text, codec.encodeData(bag))
    t.is(next.text.startsWith('{'), plain)
    t.is(portrait(next.copy()), portrait({ ...bag }))
    t.is(next.next(bag), next)
  })
}

test('An object that moved to another key, where it is equal, is no change of that key', t => {
  const { base, bag } = opened({ a: { x: 1 }, b: { x: 1 } })
  bag.b = bag.a
  delete bag.a
  t.deepEqual(base.changes(bag), ['a'])
  t.is(base.next(bag).text, '{"b":{"x":1}}')
})

const equal: [title: string, change: (bag: any) => void][] = [
  ['an object was replaced by an equal one', bag => (bag.user = structuredClone(bag.user))],
  ['an object inside was replaced by an equal one', bag => (bag.user.address = { city: 'Wien' })],
  [
    'an object was replaced by an equal one, and changed after that',
    bag => {
      const { address } = bag.user
      bag.user.address = { ...address }
      address.city = 'Graz'
    },
  ],
  ['equal objects took the places of others', bag => ([bag.list[1], bag.user.roles] = [[1], ['admin']])],
  ['a change was undone', bag => (bag.counter++, bag.list.push(1), bag.list.pop(), bag.counter--)],
  ['a key was set anew', bag => (bag.user = (delete bag.user, { ...sample().user }))],
  ['only the order of top-level keys differs', bag => (bag.counter = (delete bag.counter, 12))],
]

for (const [title, change] of equal) {
  test(`There is no change if ${title}`, t => {
    const { base, bag } = opened(sample())
    change(bag)
    t.deepEqual(base.changes(bag), [])
    t.is(base.next(bag), base)
  })
}

const fail = (): never => {
  throw new Error('code of the app was called')
}
const refused: [title: string, change: (bag: any) => void, message: RegExp][] = [
  [
    'a function',
    bag => (bag.user.address.city = fail),
    /a function, found at user\.address\.city: store plain data instead, such as an id$/,
  ],
  [
    'a symbol',
    bag => (bag.counter = Symbol('s')),
    /a symbol, found at counter: store plain data instead, such as an id$/,
  ],
  [
    'a toJSON method',
    bag => (bag.user.toJSON = fail),
    /a function, found at user\.toJSON: store plain data instead, such as an id$/,
  ],
  [
    'a toJSON method that is not enumerable',
    bag => Object.defineProperty(bag.user, 'toJSON', { value: fail }),
    /not enumerable, found at user\.toJSON$/,
  ],
  [
    'a getter for an equal value',
    bag => Object.defineProperty(bag.user, 'name', { get: fail }),
    /a getter or setter, found at user\.name$/,
  ],
  [
    'a getter for an element',
    bag => Object.defineProperty(bag.list, 1, { get: fail }),
    /a getter or setter, found at list\[1\]$/,
  ],
  ['a setter', bag => Object.defineProperty(bag.list, 0, { set: fail }), /a getter or setter, found at list\[0\]$/],
  ['a getter that was added', bag => bag.user.__defineGetter__('x', fail), /a getter or setter, found at user\.x$/],
  [
    'a property that is no longer enumerable',
    bag => Object.defineProperty(bag.user, 'name', { enumerable: false }),
    /not enumerable, found at user\.name$/,
  ],
  [
    'an element that is no longer enumerable',
    bag => Object.defineProperty(bag.list, 0, { enumerable: false }),
    /not enumerable, found at list\[0\]$/,
  ],
  [
    'an added property that is not enumerable',
    bag => Object.defineProperty(bag.user, 'x', { value: 1 }),
    /not enumerable, found at user\.x$/,
  ],
  ['a property of an array', bag => (bag.list.total = 3), /an array with extra properties, found at list$/],
  [
    'a property of an array that is not enumerable',
    bag => Object.defineProperty(bag.list[1], 'x', { value: 1 }),
    /an array with extra properties, found at list\[1\]$/,
  ],
  [
    'a property of an array with a hole',
    bag => (delete bag.list[0], (bag.list.total = 3)),
    /an array with extra properties, found at list$/,
  ],
  ['a symbol key of an array', bag => (bag.list[Symbol('s')] = 3), /an array with extra properties, found at list$/],
  ['a symbol key inside', bag => (bag.user[Symbol('s')] = 1), /named by a symbol, found at user$/],
  ['a symbol key at the top', bag => (bag[Symbol('s')] = 1), /named by a symbol, found at the top level$/],
  [
    'a class for prototype',
    bag => Object.setPrototypeOf(bag.user.address, class A {}.prototype),
    /of A, found at user/,
  ],
  ['a class for prototype of an array', bag => Object.setPrototypeOf(bag.list, class A {}.prototype), /of A, found at/],
  ['a Proxy of what was there', bag => (bag.user = new Proxy(bag.user, {})), /a Proxy, found at user$/],
  [
    'an instance of a class',
    bag => (bag.list[2] = new (class A {})()),
    /of A, found at list\[2\]: store plain data instead, such as an id$/,
  ],
  [
    'a getter that throws at the top',
    bag => Object.defineProperty(bag, 'a', { get: fail, enumerable: true }),
    /property a threw/,
  ],
]

for (const [title, change, message] of refused) {
  test(`A change of what the app was given is refused, naming where it is: ${title}`, t => {
    const { base, bag } = opened(sample())
    change(bag)
    for (const look of [() => base.changes(bag), () => base.next(bag)]) {
      const error = t.throws(look)
      t.true(isSessionError(error) && error.code === 'ERR_SESSION_ENCODE')
      t.regex(error.message, message)
    }
  })
}

test('A getter at the top is stored as its value', t => {
  const { base, bag } = opened(sample())
  Object.defineProperty(bag, 'counter', { get: () => 12, enumerable: true })
  t.is(base.next(bag), base)
  Object.defineProperty(bag, 'later', { get: () => 5, enumerable: true })
  t.deepEqual(base.changes(bag), ['later'])
  t.is(base.next(bag).copy().later, 5)
})

test('Only a key that is asked for is encoded', t => {
  for (const data of [sample(), { ...sample(), at: new Date(0) }]) {
    const { base, bag } = opened(data)
    bag.user = () => 1
    bag.counter++
    t.deepEqual(base.changes(bag, ['counter', 'list', 'absent']), ['counter'])
    delete bag.counter
    t.deepEqual(base.changes(bag, ['counter', 'list']), ['counter'])
  }
})

for (const levels of [998, 999, 1000, 1001, 100_000]) {
  test(`${levels} levels inside of a key are ${levels < 1000 ? 'compared' : 'refused, if they were stored nevertheless'}`, t => {
    const base = new DataText(codec, `{"counter":12,"deep":${'['.repeat(levels)}${']'.repeat(levels)}}`)
    const bag: any = bagOf(base.open())
    if (levels < 1000) t.is(base.next(bag), base)
    else t.regex(t.throws(() => base.next(bag)).message, /more than 1000 levels, found at deep/)
    bag.deep = 1
    t.is(base.next(bag).text, '{"counter":12,"deep":1}')
  })

  test(`${levels} levels after a change by the app are ${levels <= 1000 ? 'stored' : 'refused'}`, t => {
    const { base, bag } = opened(sample())
    bag.user.address.deep = JSON.parse(`${'['.repeat(levels - 3)}${']'.repeat(levels - 3)}`)
    const text = outcome(() => base.next(bag).text)
    t.is(
      text,
      outcome(() => codec.encodeData(bag)),
    )
    t.is(String(text).startsWith('ERR_SESSION_ENCODE'), levels > 1000)
  })
}

test('JSON that the codec would have written otherwise is not silently changed', t => {
  for (const text of ['{"a":-0,"b":1}', '{"a":[1e400],"b":1}', '{"a":{"x":-0},"b":1}']) {
    const base = new DataText(codec, text)
    const bag: any = bagOf(base.open())
    bag.b = 2
    t.is(portrait(base.next(bag).copy()), portrait({ ...bag }))
  }
  const spaced = new DataText(codec, ' {"a": {"b" : [1]}, "a":{"b":[2]}}')
  t.is(spaced.next(spaced.open()), spaced)
})

test('What changed meanwhile is merged by top-level keys', t => {
  const { base, bag } = opened({ ...sample(), gone: 1, kept: { a: 1 } })
  const others = new DataText(
    codec,
    codec.encodeData({ list: [9], kept: { a: 1 }, theirs: { b: 1 }, counter: 12, gone: 1 }),
  )
  bag.counter++
  bag.mine = { ['__proto__']: 1 }
  delete bag.gone
  const merged = base.merge(base.changes(bag), bag, others)
  t.is(
    merged.text,
    '{"list":[9],"kept":{"a":1},"theirs":{"b":1},"counter":13,"mine":{"__proto__":1}}'.replace(
      '{"__proto__":1}',
      codec.encode(bag.mine),
    ),
  )
  t.is(base.merge(base.changes(bag), bag, merged), merged)
  t.is(base.merge([], bag, others), others)
})

test('Everything in a session that had no data is a change', t => {
  const empty = new DataText(codec, codec.empty)
  t.is(empty.text, '{}')
  t.is(empty.next({}), empty)
  t.deepEqual(empty.changes({ b: 1, a: [undefined] }), ['b', 'a'])
  t.is(empty.next({ b: 1, a: {} }).text, '{"b":1,"a":{}}')
  t.is(empty.next({}), empty)
})

test("An app's own codec decides what is equal, and is asked again", t => {
  const even: Codec = {
    stringify: value => JSON.stringify(value, (_, item) => (typeof item === 'number' ? item - (item % 2) : item)),
    parse: text => JSON.parse(text),
  }
  const base = new DataText(new GuardedCodec(even), '{"a":[2],"b":4}')
  const bag: any = bagOf(base.open())
  bag.a[0] = 3
  t.is(base.next(bag), base)
  bag.b = 6
  t.deepEqual(base.changes(bag), ['b'])
  t.is(base.next(bag).text, '{"a":[2],"b":6}')
})

test('A text that cannot be decoded, or holds no object, is refused', t => {
  for (const text of ['', '[]', '1', 'null', '~[[1],2]', '{"a":']) {
    const base = new DataText(codec, text)
    for (const look of [() => base.open(), () => base.copy()]) {
      t.is((t.throws(look) as { code?: string }).code, 'ERR_SESSION_DECODE')
    }
  }
})

/** Objects and arrays in `value`, with what they are found in. */
function holders(value: unknown, found = new Set<object>()): Set<object> {
  if (typeof value !== 'object' || value === null || found.has(value)) return found
  if (Array.isArray(value) || [null, Object.prototype].includes(Object.getPrototypeOf(value))) {
    found.add(value)
    for (const inner of Object.values(value)) holders(inner, found)
  }
  return found
}

const step = fc.record({
  at: fc.nat(),
  key: fc.nat(),
  name: fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom('a', '0', '1', '__proto__', 'toJSON')),
  how: fc.constantFrom('set', 'replace', 'clone', 'delete', 'push', 'pop', 'undo', 'accessor', 'hide', 'share'),
  to: fc.oneof(
    { weight: 3, arbitrary: plainValue },
    { weight: 1, arbitrary: richValue },
    { weight: 1, arbitrary: anyValue },
    { weight: 3, arbitrary: fc.constantFrom<unknown>(0, -0, 1, '', null, undefined, Number.NaN) },
  ),
})

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

const pick = <Item>(items: Item[], at: number): Item | undefined => items[at % (items.length || 1)]

/** `all`: what was given, and nothing of what was generated, so that one run does not change the values of the next. */
function mutate(bag: Data, all: any[], { at, key, name, how, to }: Step): void {
  const holder = pick(all, at)
  const there = pick(Object.keys(holder), key)
  const put = (key: string | undefined, value: unknown) => {
    if (key !== undefined)
      Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true })
  }
  try {
    if (how === 'set') put(name, to)
    else if (how === 'replace') put(there, to)
    else if (how === 'clone') put(there, structuredClone(holder[there as string]))
    else if (how === 'undo') put(there, holder[there as string])
    else if (how === 'share') put(there, pick(all, key))
    else if (how === 'push') Array.isArray(holder) ? holder.push(to) : put(name, to)
    else if (how === 'pop') Array.isArray(holder) ? holder.pop() : undefined
    else if (how === 'accessor' && holder !== bag) Object.defineProperty(holder, there as string, { get: fail })
    else if (how === 'hide' && holder !== bag) Object.defineProperty(holder, there as string, { enumerable: false })
    else delete holder[there as string]
  } catch {
    // Of what `anyValue` makes, some cannot be cloned.
  }
}

for (const [kind, values] of Object.entries({ plain: plainValue, rich: richValue })) {
  test(`Random changes of ${kind} data are found as by comparing texts, and stored as by encoding all of it`, t => {
    const seen = { same: 0, changed: 0, refused: 0 }
    const data = fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('a', 'b', '__proto__')), values, { maxKeys: 5 })
    t.notThrows(() =>
      fc.assert(
        fc.property(data, fc.array(step, { maxLength: 4 }), (data, steps) => {
          const { base, bag } = opened({ ...data })
          const all = [bag, ...Object.values(bag).flatMap(value => [...holders(value)])]
          for (const one of steps) mutate(bag, all, one)
          const text = outcome(() => codec.encodeData(bag)) as string
          const next = outcome(() => base.next(bag))
          if (!(next instanceof DataText)) {
            seen.refused++
            return next === text && outcome(() => base.changes(bag)) === text
          }
          const names = base.changes(bag)
          const expected = codec.differences(base.copy(), bag)
          if (next === base) {
            seen.same++
            return names.length === 0 && expected.length === 0 && text.length === base.text.length
          }
          seen.changed++
          // An object that is in two keys makes another text than two equal ones, and is no difference within one key.
          const isShared = text.startsWith('~') && names.length > expected.length
          return next.text === text && (isShared || String(names.sort()) === String(expected.sort()))
        }),
        { numRuns: runs(2000) },
      ),
    )
    for (const count of Object.values(seen)) t.true(count > runs(50), JSON.stringify(seen))
  })
}
