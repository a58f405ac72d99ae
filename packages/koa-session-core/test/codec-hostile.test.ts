import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import fc from 'fast-check'
import { jsonCodec } from 'koa-session-core'
import { portrait, richValue } from './codec-values.js'
import { runs } from './support/runs.js'

const codec = jsonCodec()
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
