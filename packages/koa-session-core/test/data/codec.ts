import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import fc from 'fast-check'
import { isSessionError, jsonCodec } from 'koa-session-core'
import { anyValue, mixed, plainValue, portrait, richValue } from '../codec-values.js'
import { runs } from '../support/runs.js'

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

const deep = (open: string, close: string, levels: number): string => open.repeat(levels) + close.repeat(levels)
/** `[[1,1],[2,2],…]`: 2 ** 60 leaves, if a decoder were to visit them one by one. */
const laughs = Array.from({ length: 60 }, (_, index) => [index + 1, index + 1])

const hostile: [title: string, text: string][] = [
  ['nothing', ''],
  ['half a text', '{"a":'],
  ['a raw NUL', '"\0"'],
  ['only the mark', '~'],
  ['the mark twice', '~~-1'],
  ['no array behind the mark', '~{"length":1}'],
  ['plain data behind the mark', '~[{"a":1},1]'],
  ['an unused entry', '~[[-1],5]'],
  ['an index beyond the end', '~[{"a":7}]'],
  ['an index that is none', '~[[-1,"0"]]'],
  ['a hole at the top', '~-2'],
  ['an unknown kind', '~[["Function","return 1"]]'],
  ['the name of a global as kind', '~[["process",1]]'],
  ['a property of the table as kind', '~[["constructor",1],"x"]'],
  ['a raw __proto__', '~[{"__proto__":1},{"polluted":2},true]'],
  ['a raw __proto__ without a prototype', '~[["null","__proto__",1],{"polluted":2},true]'],
  ['a boxed primitive', '~[["Object",1],1]'],
  ['a box that refers to itself', '~[["Object",0]]'],
  ['a Buffer that refers to itself', '~[["Buffer",0]]'],
  ['a Buffer from a length', '~[["Buffer",1],4000000000]'],
  ['a Buffer from an array-like', '~[["Buffer",1],{"length":2},4000000000]'],
  ['a Buffer that is no base64', '~[["Buffer",1],"%%%"]'],
  ['a Buffer of base64 with loose ends', '~[["Buffer",1],"YWJ="]'],
  ['a Buffer of endless text', `~${JSON.stringify([['Buffer', 1], ...laughs.map(pair => pair.map(n => n + 1)), 'x'])}`],
  ['a typed array from a length', '~[["Float64Array",1],1000000000]'],
  ['a typed array from an array-like', '~[["Uint8Array",1],{"length":2},1000000000]'],
  ['a typed array of another', '~[["Uint8Array",1],["Uint8Array",0]]'],
  ['a typed array beyond its buffer', '~[["Uint8Array",1,0,1000000000],["ArrayBuffer","AQID"]]'],
  ['a typed array on a part of its buffer', '~[["Uint8Array",1,1,1],["ArrayBuffer","AQID"]]'],
  ['a sparse array longer than any', '~[[-7,4294967296]]'],
  ['a sparse array with an index beyond its length', '~[[-7,5,9,1],1]'],
  ['a sparse array with a name for index', '~[[-7,5,"__proto__",1],{"polluted":2},1]'],
  ['a Date that is none', '~[["Date","tomorrow"]]'],
  ['a Date from a number', '~[["Date",5]]'],
  ['a BigInt that is none', '~[["BigInt","1n"]]'],
  ['a BigInt in hexadecimal', '~[["BigInt","0x10"]]'],
  ['a RegExp that is none', '~[["RegExp","("]]'],
  ['a RegExp with flags that are none', '~[["RegExp","a","zz"]]'],
  ['a RegExp with its flags in another order', '~[["RegExp","a","ig"]]'],
  ['a RegExp of 100,000 levels', `~${JSON.stringify([['RegExp', deep('(', ')', 100_000)]])}`],
  ['a URL that is none', '~[["URL","nowhere"]]'],
  ['a URL in another spelling', '~[["URL","HTTP://A.example"]]'],
  ['search parameters', '~[["URLSearchParams","a=1"]]'],
  ['a Map with half an entry', '~[["Map",1],"a"]'],
  ['a Map with a key twice', '~[["Map",1,2,1,2],"a","b"]'],
  ['a Set with an item twice', '~[["Set",1,1],"a"]'],
  ['100,000 levels behind the mark', `~[${Array.from({ length: 100_000 }, (_, index) => `[${index + 1}]`)},-1]`],
]

/** Valid JSON, if not as encoding spells it. */
const json: [title: string, text: string][] = [
  ['spaces', ' {"a":1}'],
  ['a key twice', '{"a":1,"a":2}'],
  ['another spelling', '"\\u0061"'],
  ['a number too large for JSON', '1e400'],
  ['negative zero as JSON', '-0'],
  ['a raw lone surrogate', '"\ud800"'],
  ['JSON of 1,001 levels', deep('[', ']', 1001)],
]

const world = (): string => [Object, Array, Map, Set, Date, RegExp, Buffer].map(type => portrait(type.prototype)).join()

for (const [title, text] of json) {
  test(`JSON is read as JSON: ${title}`, t => {
    const before = world()
    t.is(JSON.stringify(codec.parse(text)), JSON.stringify(JSON.parse(text)))
    t.is(world(), before)
  })
}

for (const [title, text] of hostile) {
  test(`Decoding throws for ${title}`, t => {
    const before = world()
    t.throws(() => codec.parse(text))
    t.is(world(), before)
    t.false('polluted' in {})
  })
}

test('Decoding allocates what the text is worth, not what it says', t => {
  const before = process.memoryUsage()
  const lengths = [4294967295, 100_000_000, 33_000_000].map(length => {
    const text = `~[[-7,${length},0,1],"first"]`
    const back = codec.parse(text) as unknown[]
    t.is(codec.stringify(back), text)
    return back.length
  })
  const after = process.memoryUsage()
  t.deepEqual(lengths, [4294967295, 100_000_000, 33_000_000])
  t.true(after.heapTotal + after.external - before.heapTotal - before.external < 100_000_000)
})

test('Decoding visits an object once, however many ways lead to it', t => {
  const text = `~${JSON.stringify([...laughs, [-1]])}`
  t.is(codec.stringify(codec.parse(text)), text)
})

test.serial('Decoding calls no setter, not even on Object.prototype', t => {
  Object.defineProperty(Object.prototype, 'trap', { set: () => t.fail('a setter was called'), configurable: true })
  t.teardown(() => Reflect.deleteProperty(Object.prototype, 'trap'))
  for (const text of ['{"trap":1}', '~[{"trap":-1}]', '~[["null","trap",-1]]']) {
    t.true(Object.hasOwn(codec.parse(text) as object, 'trap'))
  }
})

/** Random bricks of the library's form, more often than not well formed. */
const brick = fc.oneof(
  fc.integer({ min: -8, max: 6 }),
  fc.constantFrom<unknown>('x', '', true, null, 1.5, -0, '__proto__', 'YWJj', '1', '=', '2020-01-01T00:00:00.000Z'),
  fc.array(fc.integer({ min: -7, max: 6 }), { maxLength: 4 }),
  fc.dictionary(fc.constantFrom('a', '__proto__', '~__proto__', 'constructor', '0', 'length'), fc.nat(6), {
    maxKeys: 3,
  }),
  fc
    .tuple(
      fc.constantFrom(
        ...['Date', 'Map', 'Set', 'null', 'Object', 'BigInt', 'RegExp', 'URL', 'Buffer', 'ArrayBuffer', 'DataView'],
        ...['Uint8Array', 'Float64Array', 'BigInt64Array', 'URLSearchParams', 'Temporal.Instant', 'toString', -7],
      ),
      fc.array(
        fc.oneof(fc.integer({ min: -7, max: 6 }), fc.constantFrom<unknown>('a', 'YWJj', '1', '__proto__', {}, [])),
        {
          maxLength: 4,
        },
      ),
    )
    .map(([tag, rest]) => [tag, ...rest]),
)
const texts = fc.oneof(
  fc.array(brick, { maxLength: 7 }).map(bricks => `~${JSON.stringify(bricks)}`),
  fc.tuple(richValue, fc.nat(), fc.nat(4), fc.string({ maxLength: 3 })).map(([value, at, length, patch]) => {
    const text = codec.stringify(value)
    const start = at % text.length
    return text.slice(0, start) + patch + text.slice(start + length)
  }),
  fc.string(),
)

test('Decoding throws for every rich text that encoding did not make, and reaches no prototype', t => {
  const before = world()
  let decoded = 0
  t.notThrows(() =>
    fc.assert(
      fc.property(texts, text => {
        let value: unknown
        try {
          value = codec.parse(text)
        } catch {
          return true
        }
        decoded++
        return text.startsWith('~') ? codec.stringify(value) === text : isDeepStrictEqual(value, JSON.parse(text))
      }),
      { numRuns: runs(5000) },
    ),
  )
  t.true(decoded > runs(50), `only ${decoded} texts were decoded`)
  t.is(world(), before)
})
