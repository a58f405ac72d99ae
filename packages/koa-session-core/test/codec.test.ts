import test from 'ava'
import fc from 'fast-check'
import { isSessionError, jsonCodec } from 'koa-session-core'
import { anyValue, mixed, plainValue, portrait, richValue } from './codec-values.js'
import { runs } from './support/runs.js'

const codec = jsonCodec()
const same = Object.freeze({ city: 'Wien' })
const bytes = new Uint8Array([1, 2, 3]).buffer

function refusal(value: unknown): { code: string; message: string; cause?: unknown } {
  try {
    codec.stringify(value)
  } catch (error) {
    if (isSessionError(error)) return error
    throw error
  }
  throw new Error('it was not refused')
}

const own = (json: string): Record<string, unknown> => JSON.parse(json)
const bare = (properties: object): object => Object.assign(Object.create(null), properties)
function ring(): object {
  const a: Record<string, unknown> = { name: 'a' }
  a.self = a
  a.list = [a]
  return a
}

// The second column is what stores hold: changing it makes existing sessions unreadable.
const kept: [title: string, value: unknown, text: string][] = [
  ['plain data', { id: 1, tags: ['a', null, true], o: { n: 1.5 } }, '{"id":1,"tags":["a",null,true],"o":{"n":1.5}}'],
  ['a string at the top', 'text', '"text"'],
  ['null at the top', null, 'null'],
  ['a number at the top', 5, '5'],
  ['undefined at the top', undefined, '~-1'],
  ['a property that is undefined', { a: undefined }, '~[{"a":-1}]'],
  ['NaN and both infinities', [Number.NaN, 1 / 0, -1 / 0], '~[[-3,-4,-5]]'],
  ['negative zero', { a: -0 }, '~[{"a":-6}]'],
  ['a BigInt', 10n ** 20n, '~[["BigInt","100000000000000000000"]]'],
  ['a Date', { at: new Date(0) }, '~[{"at":1},["Date","1970-01-01T00:00:00.000Z"]]'],
  ['an invalid Date', new Date(Number.NaN), '~[["Date",""]]'],
  [
    'a Map',
    new Map<unknown, unknown>([
      ['a', 1],
      [same, same],
    ]),
    '~[["Map",1,2,3,3],"a",1,{"city":4},"Wien"]',
  ],
  ['a Set', new Set([1, 'a']), '~[["Set",1,2],1,"a"]'],
  ['a URL', new URL('https://a.example/b?c#d'), '~[["URL","https://a.example/b?c#d"]]'],
  ['a RegExp', /a\/b/gi, '~[["RegExp","a\\\\/b","gi"]]'],
  ['a Buffer', Buffer.from('abc'), '~[["Buffer",1],"YWJj"]'],
  ['an empty Buffer', Buffer.alloc(0), '~[["Buffer",1],"="]'],
  ['a Uint8Array', new Uint8Array([1, 2]), '~[["Uint8Array",1],["ArrayBuffer","AQI="]]'],
  ['a Float64Array', new Float64Array([-0]), '~[["Float64Array",1],["ArrayBuffer","AAAAAAAAAIA="]]'],
  [
    'two views of one ArrayBuffer',
    [new DataView(bytes), new Int8Array(bytes), bytes],
    '~[[1,3,2],["DataView",2],["ArrayBuffer","AQID"],["Int8Array",2]]',
  ],
  ['holes in an array', [1, , undefined], '~[[1,-2,-1],1]'],
  ['an array that is nearly empty', Object.assign([], { length: 4294967295, 9: 1 }), '~[[-7,4294967295,9,1],1]'],
  ['an object without a prototype', bare({ a: 1 }), '~[["null","a",1],1]'],
  ['one object in two places', { a: same, b: same }, '~[{"a":1,"b":1},{"city":2},"Wien"]'],
  ['a cycle', ring(), '~[{"name":1,"self":0,"list":2},"a",[0]]'],
  ['an own __proto__', own('{"__proto__":{"admin":true}}'), '{"__proto__":{"admin":true}}'],
  [
    'an own __proto__ beside a Date',
    [own('{"__proto__":1,"~__proto__":2}'), new Date(0)],
    '~[[1,4],{"~__proto__":2,"~~__proto__":3},1,2,["Date","1970-01-01T00:00:00.000Z"]]',
  ],
  [
    'an own __proto__ in a Map',
    new Map([[1, own('{"a":{"__proto__":[]}}')]]),
    '~[["Map",1,2],1,{"a":3},{"~__proto__":4},[]]',
  ],
  ['an own __proto__ without a prototype', bare(own('{"__proto__":1}')), '~[["null","~__proto__",1],1]'],
  [
    'a prototype named as key',
    { constructor: 1, prototype: 2, toJSON: 3 },
    '{"constructor":1,"prototype":2,"toJSON":3}',
  ],
  [
    'the same beside undefined',
    [{ constructor: 1, prototype: 1, then: 1 }, undefined],
    '~[[1,-1],{"constructor":2,"prototype":2,"then":2},1]',
  ],
  ['NUL and lone surrogates', 'a\0\ud800', '"a\\u0000\\ud800"'],
  ['NUL and lone surrogates in a Set', new Set(['a\0\ud800']), '~[["Set",1],"a\\u0000\\ud800"]'],
]

for (const [title, value, text] of kept) {
  test(`${title} comes back as it was`, t => {
    t.is(codec.stringify(value), text)
    t.is(portrait(codec.parse(text)), portrait(value))
  })
}

class Cart {}
const detached = new ArrayBuffer(1)
structuredClone(detached, { transfer: [detached] })

const refused: [title: string, value: unknown, kind: string][] = [
  ['A function', () => 'hunter2', 'a function'],
  ['A class', Cart, 'a function'],
  ['A symbol', Symbol('hunter2'), 'a symbol'],
  ['An instance of a class', new Cart(), 'an instance of Cart'],
  ['An instance of a nameless class', new (class {})(), 'an instance of a class'],
  ['A subclass of Map', new (class Carts extends Map {})(), 'an instance of Carts'],
  ['A subclass of Array', new (class List extends Array {})(), 'an instance of List'],
  ['A subclass of Date', new (class Day extends Date {})(), 'an instance of Day'],
  ['An error', new RangeError('hunter2'), 'an instance of RangeError'],
  ['A promise', Promise.resolve('hunter2'), 'an instance of Promise'],
  ['A boxed primitive', Object('hunter2'), 'an instance of String'],
  ['A Proxy', new Proxy({}, {}), 'a Proxy'],
  ['A toJSON method', { toJSON: () => 'hunter2' }, 'a function'],
  ['A Map with extra properties', Object.assign(new Map(), { secret: 'hunter2' }), 'an instance of Map that would'],
  ['A Uint8Array with extra properties', Object.assign(new Uint8Array(1), { a: 1 }), 'an instance of Uint8Array that'],
  ['A Uint8Array over a part of its buffer', new Uint8Array(4).subarray(1), 'an instance of Uint8Array that would'],
  ['A RegExp with a lastIndex', Object.assign(/a/g, { lastIndex: 1 }), 'an instance of RegExp that would'],
  [
    'A view of another class',
    Object.setPrototypeOf(new Uint8Array(1), Int8Array.prototype),
    'an instance of Int8Array',
  ],
  ['A view over uneven bytes', new Uint16Array(new ArrayBuffer(3), 0, 1), 'an instance of Uint16Array that would'],
  ['A view of shared memory', new Uint8Array(new SharedArrayBuffer(1)), 'an instance of Uint8Array that would'],
  ['A Buffer of shared memory', Buffer.from(new SharedArrayBuffer(1)), 'an instance of Buffer that would'],
  [
    'A resizable ArrayBuffer',
    Reflect.construct(ArrayBuffer, [1, { maxByteLength: 2 }]),
    'an instance of ArrayBuffer that',
  ],
  ['A Map made without new', Object.create(Map.prototype), 'an instance of Map that would'],
  ['An array made without new', Object.setPrototypeOf({ length: 0 }, Array.prototype), 'an instance of Array'],
  ['A detached ArrayBuffer', detached, 'a value that throws while it is read'],
  ['An array with extra properties', Object.assign([1], { secret: 'hunter2' }), 'an array with extra properties'],
  ['A symbol key', { [Symbol('hunter2')]: 1 }, 'a property named by a symbol'],
]

for (const [title, value, kind] of refused) {
  test(`${title} is refused, naming where it is and never what it holds`, t => {
    const { code, message } = refusal({ cart: { items: [1, 2, { 'the total': value }] } })
    t.is(code, 'ERR_SESSION_ENCODE')
    t.regex(message, RegExp(`hold ${kind}.*, found at cart\\.items\\[2\\]\\["the total"\\]`))
    t.notRegex(message, /hunter2/)
  })
}

test('A refusal inside a Map or Set names the number of the entry, not its key', t => {
  const { message } = refusal({ users: new Map([['a', 1], ['hunter2', new Set([{ login() {} }])] as never]) })
  t.regex(
    message,
    /a function, found at users\.entries\(\)\[1\]\.entries\(\)\[0\]\.login: store plain data instead, such as an id$/,
  )
  t.regex(refusal(() => 1).message, /a function, found at the top level: store plain data instead, such as an id$/)
  t.regex(
    refusal(new Map([[Symbol('key'), 1]])).message,
    /a symbol, found at entries\(\)\[0\]: store plain data instead, such as an id$/,
  )
})

test('A getter is refused, naming where it is, without calling it', t => {
  let calls = 0
  const get = (): never => {
    calls++
    throw new Error('hunter2')
  }
  const user = Object.defineProperties({}, { name: { get, enumerable: true } })
  t.regex(refusal({ user }).message, /a getter or setter, found at user\.name$/)
  t.regex(refusal({ list: Object.defineProperty([1, 2], 1, { get, enumerable: true }) }).message, /at list\[1\]$/)
  t.regex(
    refusal(Object.defineProperty({}, 'a', { value: 1 })).message,
    /a property that is not enumerable, found at a$/,
  )
  t.is(calls, 0)
})

test('No trap of a Proxy is called', t => {
  const handler = new Proxy({}, { get: () => t.fail('a trap was asked for') })
  t.regex(refusal({ a: [new Proxy([], handler)] }).message, /a Proxy, found at a\[0\]$/)
})

test('What throws while it is read is refused with a cause that holds no data', t => {
  const prototype = new Proxy(
    {},
    {
      get() {
        throw Object.assign(new Error('broken'), { row: 'hunter2' })
      },
    },
  )
  const { code, message, cause } = refusal({ a: [Object.create(prototype)] })
  t.is(code, 'ERR_SESSION_ENCODE')
  t.regex(message, /found at a\[0\]$/)
  t.is((cause as Error).message, 'broken')
  t.false('row' in (cause as Error))
})

test('A path longer than 200 characters is cut', t => {
  t.true(refusal({ ['x'.repeat(10_000)]: Symbol('s') }).message.length < 300)
})

const wrappers: [string, (inner: unknown) => unknown][] = [
  ['objects', inner => ({ a: inner })],
  ['arrays', inner => [inner]],
  ['Maps', inner => new Map([[inner, 1]])],
  ['objects beside undefined', inner => ({ u: undefined, a: inner })],
]
for (const [title, wrap] of wrappers) {
  const nest = (levels: number): unknown =>
    Array(levels)
      .fill(wrap)
      .reduce((inner, outer) => outer(inner), 'core')
  test(`1,000 levels of ${title} come back`, t => {
    const text = codec.stringify(nest(1000))
    t.is(codec.stringify(codec.parse(text)), text)
  })
  for (const levels of [1001, 5000, 100_000]) {
    test(`${levels} levels of ${title} are refused with a clear message`, t => {
      const { code, message, cause } = refusal({ a: nest(levels) })
      t.is(code, 'ERR_SESSION_ENCODE')
      t.regex(message, /more than 1000 levels, found at a/)
      t.is(cause, undefined)
    })
  }
}

test('Every kind of data comes back as it was, and its text stays the same', t => {
  t.notThrows(() =>
    fc.assert(
      fc.property(richValue, value => {
        const before = portrait(value)
        const text = codec.stringify(value)
        const back = codec.parse(text)
        if (portrait(back) !== before) throw new Error(`${before}\n${portrait(back)}`)
        if (codec.stringify(back) !== text || codec.stringify(value) !== text) throw new Error(text)
        if (portrait(value) !== before) throw new Error('the value was changed')
      }),
      { numRuns: runs(3000) },
    ),
  )
})

test('Every kind of data is stored the same when some of it is of another realm', t => {
  t.notThrows(() =>
    fc.assert(
      fc.property(richValue, value => {
        const before = portrait(value)
        const text = codec.stringify(mixed(value))
        return text === codec.stringify(value) && portrait(codec.parse(text)) === before
      }),
      { numRuns: runs(1000) },
    ),
  )
})

test('Plain data is stored as its JSON text', t => {
  t.notThrows(() =>
    fc.assert(
      fc.property(plainValue, value => codec.stringify(value) === JSON.stringify(value)),
      { numRuns: 500 },
    ),
  )
})

test('No text has a NUL, a line break or half a character in it', t => {
  t.notThrows(() =>
    fc.assert(
      fc.property(richValue, value => {
        const text = codec.stringify(value)
        return !/[\0-\x1f]/.test(text) && Buffer.from(text).toString() === text
      }),
      { numRuns: 500 },
    ),
  )
})

test('Nothing is silently changed: it comes back as it was or is refused', t => {
  let refusals = 0
  t.notThrows(() =>
    fc.assert(
      fc.property(anyValue, value => {
        let text: string
        try {
          text = codec.stringify(value)
        } catch (error) {
          refusals++
          return isSessionError(error) && error.code === 'ERR_SESSION_ENCODE'
        }
        return portrait(codec.parse(text)) === portrait(value)
      }),
      { numRuns: runs(3000) },
    ),
  )
  t.true(refusals > runs(100) && refusals < runs(2900), `${refusals} refusals`)
})
