import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createContext, runInContext } from 'node:vm'
import test from 'ava'
import { build } from 'esbuild'
import { isSessionError, jsonCodec, memoryStore, session } from 'koa-session-core'
import { newVersion } from '../dist/id.js'
import { portrait } from './codec-values.js'
import { type Handler, site } from './support/app.js'

const codec = jsonCodec()

/** The globals that a test runner gives its sandbox: most are its own, and these few are the process's. */
const sandbox = createContext({ URL, Buffer, structuredClone, Uint8Array, ArrayBuffer })
const bare = createContext({})
const realms = { bare, 'like the sandbox of a test runner': sandbox }

/** Each expression makes the same value in every realm. */
const kept: [title: string, expression: string][] = [
  ['plain data', '({ id: 1, tags: ["a", null, true], o: { n: 1.5 } })'],
  ['parsed JSON', 'JSON.parse(\'{"a":[{"b":{}}],"__proto__":{"admin":true}}\')'],
  ['an empty object', '({})'],
  ['an array of arrays', '[[], [[1]]]'],
  ['an object without a prototype', 'Object.assign(Object.create(null), { a: 1 })'],
  ['undefined, NaN, -0 and a BigInt', '({ a: undefined, b: NaN, c: -0, d: 10n })'],
  ['holes in an array', '[1, , undefined]'],
  ['a Date', '({ at: new Date(1e12) })'],
  ['an invalid Date', 'new Date(NaN)'],
  ['a Map of Maps', 'new Map([["a", new Map([[{ b: 1 }, [2]]])]])'],
  ['a Set', 'new Set([1, "a", { b: new Set() }])'],
  ['a RegExp', '/a\\/b/gi'],
  ['an ArrayBuffer', 'new Float64Array([1, 2]).buffer'],
  ['one object in two places', '(o => ({ a: o, b: [o] }))({ c: 1 })'],
  ['a cycle', '(o => { o.self = o; return o })({})'],
  ...['Int8', 'Uint8', 'Uint8Clamped', 'Int16', 'Uint16', 'Int32', 'Uint32', 'Float32', 'Float64'].map(
    (name): [string, string] => [`a ${name}Array`, `new ${name}Array([1, 2])`],
  ),
  ['a BigInt64Array', 'new BigInt64Array([-1n])'],
  ['a BigUint64Array', 'new BigUint64Array([1n])'],
  ['a DataView', 'new DataView(new Int8Array([1, 2]).buffer)'],
]

for (const [where, realm] of Object.entries(realms)) {
  for (const [title, expression] of kept) {
    test(`${title} of another realm (${where}) is stored as one of this realm, and comes back as one`, t => {
      // biome-ignore lint/security/noGlobalEval: the same text has to be evaluated in two realms.
      const here: unknown = (0, eval)(expression)
      const there: unknown = runInContext(expression, realm)
      t.is(codec.stringify(there), codec.stringify(here))
      t.is(portrait(codec.parse(codec.stringify(there))), portrait(here))
      t.is(codec.stringify([there]), codec.stringify([here]))
    })
  }
}

test('what Node.js hands to the code in a sandbox is another realm there, and is stored as it is', t => {
  for (const value of [{ a: [1] }, new Date(0), new Map([[1, new Set([2])]]), new Float64Array(2)]) {
    const clone: unknown = runInContext('value => structuredClone(value)', sandbox)(value)
    t.is(codec.stringify({ clone }), codec.stringify({ clone: value }))
  }
})

const refused: [title: string, expression: string, kind: string][] = [
  ['a function', '() => 1', 'a function'],
  ['a symbol key', '({ [Symbol("s")]: 1 })', 'a property named by a symbol'],
  ['a getter', '({ get a() { return 1 } })', 'a getter or setter'],
  ['a Proxy', 'new Proxy({}, {})', 'a Proxy'],
  ['an instance of a class', 'new (class Cart {})()', 'an instance of Cart'],
  ['a class that extends nothing', 'Object.create((class Cart extends null {}).prototype)', 'an instance of Cart'],
  ['a class called Object', 'Object.create((class Object extends null {}).prototype)', 'an object with a'],
  ['a bound class', 'Object.create({ __proto__: null, constructor: (class A {}).bind() })', 'an instance of bound A'],
  ['a prototype that names Object', 'Object.create({ __proto__: null, constructor: Object })', 'an object with a'],
  ['a prototype that names Map', 'Object.create({ __proto__: null, constructor: Map })', 'an instance of Map'],
  [
    'a getter for constructor',
    'Object.create({ get constructor() { throw 1 } })',
    'a value that throws while it is read',
  ],
  [
    'a Proxy for a prototype',
    'Object.create(new Proxy({}, { getOwnPropertyDescriptor() { throw 1 } }))',
    'an object with a prototype of its own',
  ],
  ['an inherited property', 'Object.create({ a: 1 })', 'an object with a prototype'],
  ['a subclass of Map', 'new (class Carts extends Map {})()', 'an instance of Carts'],
  ['a subclass of Array', 'new (class List extends Array {})()', 'an instance of List'],
  ['a subclass of Date', 'new (class Day extends Date {})()', 'an instance of Day'],
  ['a subclass of Float32Array', 'new (class Points extends Float32Array {})()', 'an instance of Points'],
  ['a Map made without new', 'Object.create(Map.prototype)', 'an instance of Map that would'],
  ['a Date made without new', 'Object.create(Date.prototype)', 'an instance of Date that would'],
  ['an array made without new', 'Object.setPrototypeOf({}, Array.prototype)', 'an instance of Array'],
  ['a Map with extra properties', 'Object.assign(new Map(), { a: 1 })', 'an instance of Map that would'],
  ['a view with extra properties', 'Object.assign(new Float32Array(1), { a: 1 })', 'an instance of Float32Array that'],
  ['a view over a part of its buffer', 'new Float32Array(4).subarray(1)', 'an instance of Float32Array that would'],
  ['a view of shared memory', 'new Int8Array(new SharedArrayBuffer(1))', 'an instance of Int8Array that would'],
  ['an error', 'new RangeError("hunter2")', 'an instance of RangeError'],
  ['a promise', 'Promise.resolve(1)', 'an instance of Promise'],
  ['a boxed primitive', 'Object("hunter2")', 'an instance of String'],
  ['arguments', '(function () { return arguments })(1)', 'a property'],
]

for (const [title, expression, kind] of refused) {
  test(`of another realm, ${title} is refused, naming where it is`, t => {
    const value: unknown = runInContext(`({ cart: [${expression}] })`, bare)
    const error = t.throws(() => codec.stringify(value))
    t.true(isSessionError(error))
    t.regex(error.message, new RegExp(`hold ${kind}.*, found at cart\\[0\\]`))
    t.notRegex(error.message, /hunter2/)
  })
}

test('a session, its options, flash messages and encryption keys can be of another realm', async t => {
  const there = (expression: string): any => runInContext(expression, bare)
  const handlers: Record<string, Handler> = {
    '/replace': ctx => {
      ctx.session = there('({ user: { id: 1, at: new Date(0) } })')
    },
    '/add': async ctx => {
      ctx.session.list = there('[1, { a: new Map([[1, 2]]) }]')
      ctx.flash(there('({ text: ["hello"] })'))
      return ctx.session.update(there('session => { session.n = [1] }'))
    },
    '/get': async ctx => {
      const { user, list, n } = ctx.session
      return [user.at instanceof Date, user.id, list[1].a instanceof Map, list.length, n, await ctx.flash()]
    },
    '/abort': async () => {
      throw there('Object.assign(new Error("teapot"), { status: 418, expose: true })')
    },
  }
  const options = there(
    '({ idleTimeout: 60000, cookie: { sameSite: "strict" }, encryptionKeys: [new Uint8Array(32)] })',
  )
  const { client, sessions } = await site(t, handlers, Object.assign(options, { store: memoryStore() }))
  const browser = client()
  t.is((await browser.get('/replace')).status, 204)
  t.is((await browser.get('/add')).text, 'true')
  t.deepEqual((await browser.get('/get')).json, [true, 1, true, 2, [1], [{ text: ['hello'] }]])
  t.is((await browser.get('/abort')).status, 418)
  const { cookie } = await sessions.create(there('({ user: { id: 2, at: new Date(0) }, list: [0, {}] })'))
  t.is((await client().get('/get', { headers: { cookie } })).json[1], 2)
})

test('encryption keys of another realm are keys, and what only looks like one is none', t => {
  const keys = (expression: string) => ({ encryptionKeys: runInContext(expression, bare) })
  t.notThrows(() => session(keys('[new Uint8Array(32)]')))
  for (const expression of [
    '[new Uint8Array(31)]',
    '[new Uint16Array(32)]',
    '[{ length: 32 }]',
    '[new ArrayBuffer(32)]',
  ]) {
    t.throws(() => session(keys(expression)), {
      instanceOf: TypeError,
      message: /encryptionKeys must be an array of keys/,
    })
  }
})

test('loaded inside of a sandbox, the core takes values of both realms and gives those of its own', async t => {
  const entry = fileURLToPath(import.meta.resolve('koa-session-core'))
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    write: false,
  })
  const globals = {
    URL,
    Buffer,
    process,
    structuredClone,
    Uint8Array,
    ArrayBuffer,
    AbortController,
    AbortSignal,
    module: {},
  }
  const inside = createContext({ ...globals, require: createRequire(entry) })
  runInContext(outputFiles[0]?.text ?? '', inside)
  const given = { plain: { a: [1] }, at: new Date(0), map: new Map([[1, new Float64Array([2])]]), url: new URL('a:b') }
  const there = runInContext(
    `async given => {
      const { jsonCodec, session, memoryStore } = module.exports
      const codec = jsonCodec()
      const sessions = session({ store: memoryStore() })
      const own = { plain: { a: [1] }, at: new Date(0), map: new Map([[1, new Float64Array([2])]]), url: new URL('a:b') }
      const { cookie } = await sessions.create({ own, given, clone: structuredClone(given.plain) })
      const read = await sessions.open({ headers: { cookie } })
      const back = read.given
      return {
        texts: [codec.stringify(given), codec.stringify(own)],
        own: [back.plain.a instanceof Array, back.at instanceof Date, back.map.get(1) instanceof Float64Array],
        saved: [await read.save(), (read.n = given, await read.save()), await read.update(data => { data.u = 1 })],
        clone: Object.getPrototypeOf(read.clone) === Object.prototype,
      }
    }`,
    inside,
  )
  const { texts, own, saved, clone } = await there(given)
  t.is(texts[0], codec.stringify(given))
  t.is(texts[1], texts[0])
  t.deepEqual([...own, ...saved, clone], Array(7).fill(true))
})

const run = promisify(execFile)

/** Prints ids and versions when a clone begins; the program was loaded, and drew some, before it was cloned. */
const program = `
import { startupSnapshot } from 'node:v8'
import { newId, newVersion } from ${JSON.stringify(fileURLToPath(new URL('../src/id.ts', import.meta.url)))}
const draw = () => Array.from({ length: 5 }, () => [newId(), newVersion()]).flat()
draw()
startupSnapshot.setDeserializeMainFunction(() => console.log(JSON.stringify(draw())))
`

test('clones of one start-up snapshot never draw the same version or id', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'koa-session-clones-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const [entry, bundle, blob] = ['entry.js', 'bundle.js', 'blob'].map(name => join(folder, name)) as [
    string,
    string,
    string,
  ]
  await writeFile(entry, program)
  await build({ entryPoints: [entry], outfile: bundle, bundle: true, platform: 'node', format: 'cjs' })
  await run(process.execPath, ['--snapshot-blob', blob, '--build-snapshot', bundle])
  const clone = async (): Promise<string[]> =>
    JSON.parse((await run(process.execPath, ['--snapshot-blob', blob, bundle])).stdout)
  const drawn = [...(await clone()), ...(await clone()), ...(await clone())]
  t.is(drawn.length, 30)
  t.is(new Set(drawn).size, 30)
})

test('a version is at most 36 ASCII characters even after centuries of uptime', t => {
  for (let n = 0; n < 1_000; n++) t.regex(newVersion(), /^[\w.-]{20,36}$/)
  t.true(16 + 1 + (2n ** 63n).toString(36).length <= 36)
})
