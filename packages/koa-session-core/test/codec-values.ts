import { types } from 'node:util'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { codePoint } from './code-points.js'

const numbers = new WeakMap<object, number>()
let lastNumber = 0
function numberOf(object: object): number {
  if (!numbers.has(object)) numbers.set(object, ++lastNumber)
  return numbers.get(object) ?? 0
}

/**
 * All there is to see of a value as text, to compare two by. Unlike `deepStrictEqual` it also sees the order of keys,
 * which objects are the same one, and whether a property is enumerable or an accessor.
 */
export function portrait(value: unknown, seen = new Map<object, number>()): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'function') return `function${numberOf(value)}`
  if (typeof value !== 'object' || value === null)
    return Object.is(value, -0) ? '-0' : `${typeof value} ${String(value)}`
  const known = seen.get(value)
  if (known !== undefined) return `#${known}`
  seen.set(value, seen.size)

  const prototype: object | null = Object.getPrototypeOf(value)
  const own = Reflect.ownKeys(value).map(key => {
    const property = Object.getOwnPropertyDescriptor(value, key)
    const content = property && 'value' in property ? portrait(property.value, seen) : 'accessor'
    return `${String(key)}${property?.enumerable ? '' : '!'}=${content}`
  })
  return `${prototype && numberOf(prototype)}<${inside(value, seen)}>{${own.join()}}`
}

function inside(value: object, seen: Map<object, number>): string {
  if (types.isDate(value)) return `date ${value.getTime()}`
  if (types.isRegExp(value)) return `regexp ${value.source} ${value.flags}`
  if (types.isBoxedPrimitive(value)) return `boxed ${portrait(value.valueOf())}`
  if (value instanceof URL) return `url ${value.href}`
  if (types.isMap(value)) return `map ${Array.from(value, entry => entry.map(part => portrait(part, seen)).join('=>'))}`
  if (types.isSet(value)) return `set ${Array.from(value, item => portrait(item, seen))}`
  if (types.isAnyArrayBuffer(value))
    return `${types.isSharedArrayBuffer(value)} ${Reflect.get(value, 'resizable')} ${Buffer.from(value).toString('hex')}`
  if (Buffer.isBuffer(value)) return 'buffer'
  if (ArrayBuffer.isView(value)) return `view ${value.byteOffset} ${value.byteLength} ${portrait(value.buffer, seen)}`
  return Array.isArray(value) ? 'array' : Object.prototype.toString.call(value)
}

const text = fc.string({ unit: codePoint })
const lone = fc.constantFrom('\ud800', '\udfff', '\0', '~', '\u2028', '</script>', '')
const keys = fc.oneof(
  text,
  fc.constantFrom(
    '__proto__',
    '~__proto__',
    'constructor',
    'prototype',
    'toString',
    'then',
    'toJSON',
    'length',
    '0',
    '7',
  ),
)

// `webUrl` of fast-check takes a second of computing to list every character.
const url = fc.tuple(fc.domain(), text, text, text).map(([host, pathname, search, hash]) => {
  return Object.assign(new URL(`https://${host}`), { pathname, search, hash })
})
const plainLeaf = fc.oneof(text, lone, fc.integer(), fc.boolean(), fc.constant(null), fc.double({ noNaN: true }))
const richLeaf = fc.oneof(
  plainLeaf,
  fc.constantFrom(undefined, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0),
  fc.bigInt(),
  fc.date({ noInvalidDate: false }),
  url,
  fc
    .constantFrom('a', '\\/', '\n', '[/]', '\ud800', '(?<x>.)')
    .map(source => new RegExp(source, 'giu'.slice(source.length))),
  fc.uint8Array({ maxLength: 5 }),
  fc.float64Array({ maxLength: 3 }),
  fc.bigUint64Array({ maxLength: 3 }),
  fc.uint8Array({ maxLength: 5 }).map(bytes => Buffer.from(bytes)),
  fc.uint8Array({ maxLength: 5 }).map(bytes => bytes.buffer),
  fc.uint8Array({ maxLength: 5 }).map(bytes => new DataView(bytes.buffer)),
)

class Account {
  owner = 'somebody'
}
class Ledger extends Map {}
const tamper = (object: object, key: PropertyKey, property: PropertyDescriptor): unknown =>
  Object.defineProperty(object, key, property)

/** Values that no codec can bring back. Made anew each time, because looking at some changes them. */
const odd = fc
  .constantFrom<() => unknown>(
    () => () => 'code',
    () => Symbol('s'),
    () => new Account(),
    () => new Ledger(),
    () => new (class Items extends Array {})(),
    () => new (class extends Date {})(),
    () => new (class Bytes extends Uint8Array {})(),
    () => new TypeError('broken'),
    () => Promise.resolve(1),
    () => new WeakMap(),
    () => new URLSearchParams('a=1'),
    () => Object(1),
    () => Object('text'),
    () => Object(1n),
    () => Object.create({ inherited: 1 }),
    () => Object.create(Map.prototype),
    () => Object.create(URL.prototype),
    // Some releases of Node.js print this one as what they then do not parse.
    () => Object.assign(new URL('web+x://u@a/p'), { host: ':' }),
    () => new Proxy({}, {}),
    () => new Proxy([], {}),
    () => tamper({}, 'got', { get: () => 1, enumerable: true }),
    () => tamper({}, 'hidden', { value: 1 }),
    () => tamper({}, Symbol('key'), { value: 1, enumerable: true }),
    () => tamper([1], 'extra', { value: 1, enumerable: true }),
    () => tamper([1], '4294967295', { value: 1, enumerable: true }),
    () => tamper([1, 2], 1, { get: () => 1, enumerable: true }),
    () => tamper(new Date(0), 'extra', { value: 1 }),
    () => tamper(new Map(), 'get', { value: () => 1 }),
    () => tamper(new Uint8Array(2), 'extra', { value: 1, enumerable: true }),
    () => tamper(Buffer.from('ab'), Symbol('extra'), { value: 1, enumerable: true }),
    () => tamper(/a/g, 'lastIndex', { value: 1 }),
    () => ({ toJSON: () => 1 }),
    () => new Uint8Array(new SharedArrayBuffer(2)),
    () => Buffer.from(new SharedArrayBuffer(2)),
    () => new Uint8Array(4).subarray(1),
    () => Reflect.construct(ArrayBuffer, [1, { maxByteLength: 2 }]),
    () => Object.setPrototypeOf([], null),
    () => Object.setPrototypeOf([], Object.prototype),
    () => Object.setPrototypeOf({}, Array.prototype),
    () => Object.setPrototypeOf(new Uint8Array(1), Int8Array.prototype),
    () =>
      (function () {
        return arguments
      })(),
    () => globalThis,
    () => Math,
  )
  .map(make => make())

type Slot = { key: string; to?: number; leaf?: unknown }
const graphOf = (leaf: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> => {
  const slot: fc.Arbitrary<Slot> = fc.oneof(
    { weight: 3, arbitrary: fc.record({ key: keys, leaf }) },
    { weight: 2, arbitrary: fc.record({ key: keys, to: fc.nat(9) }) },
  )
  const node = fc.record({
    kind: fc.constantFrom('record', 'record', 'bare', 'array', 'holes', 'map', 'set'),
    slots: fc.array(slot, { maxLength: 5 }),
  })
  return fc.oneof(
    leaf,
    fc.array(node, { minLength: 1, maxLength: 10 }).map(nodes => {
      const objects = nodes.map(({ kind }) => newOf(kind))
      nodes.forEach(({ kind, slots }, index) => {
        for (const { key, to, leaf } of slots) {
          add(objects[index], kind, key, to === undefined ? leaf : objects[to % objects.length])
        }
      })
      return objects[0]
    }),
  )
}

function newOf(kind: string): object {
  if (kind === 'map') return new Map()
  if (kind === 'set') return new Set()
  if (kind === 'bare') return Object.create(null)
  return kind === 'record' ? {} : []
}

function add(object: unknown, kind: string, key: string, value: unknown): void {
  if (object instanceof Map) object.set(key.length % 2 ? key : value, value)
  else if (object instanceof Set) object.add(value)
  else if (Array.isArray(object)) object[object.length + (kind === 'holes' ? key.length ** 2 : 0)] = value
  else Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
}

/** Data with Maps, Dates, holes, shared references, cycles: everything that has to come back. */
export const richValue = graphOf(richLeaf)

/** The same, mixed with what has to be refused, and whatever else fast-check can think of. */
export const anyValue = fc.oneof(
  graphOf(fc.oneof({ weight: 9, arbitrary: richLeaf }, { weight: 1, arbitrary: odd })),
  fc.anything({
    key: keys,
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
    stringUnit: codePoint,
  } as fc.ObjectConstraints),
  odd,
)

/** JSON data as an app would have it. */
export const plainValue = fc
  .jsonValue({ stringUnit: codePoint })
  .map(value => JSON.parse(JSON.stringify(value)) as unknown)

const realm = runInNewContext('globalThis')

/** The same value, every second object of it made in another realm. */
export function mixed(value: unknown, seen = new Map<object, unknown>()): unknown {
  if (typeof value !== 'object' || value === null || value instanceof URL || Buffer.isBuffer(value)) return value
  if (seen.has(value)) return seen.get(value)
  const { [seen.size % 2 ? 'here' : 'there']: globals } = { here: globalThis, there: realm }
  const made = twin(value, globals, seen)
  seen.set(value, made)
  if (types.isMap(value))
    for (const [key, item] of value) (made as Map<unknown, unknown>).set(mixed(key, seen), mixed(item, seen))
  else if (types.isSet(value)) for (const item of value) (made as Set<unknown>).add(mixed(item, seen))
  else if (Array.isArray(value) || isRecord(value)) {
    if (Array.isArray(value)) (made as unknown[]).length = value.length
    for (const key of Object.keys(value)) {
      const content = mixed(Reflect.get(value, key), seen)
      Object.defineProperty(made, key, { value: content, writable: true, enumerable: true, configurable: true })
    }
  }
  return made
}

const isRecord = (value: object) => [null, Object.prototype].includes(Object.getPrototypeOf(value))

function twin(value: object, globals: any, seen: Map<object, unknown>): object {
  if (types.isDate(value)) return new globals.Date(value.getTime())
  if (types.isRegExp(value)) return new globals.RegExp(value.source, value.flags)
  if (types.isArrayBuffer(value)) {
    const copy = new globals.ArrayBuffer(value.byteLength)
    new Uint8Array(copy).set(new Uint8Array(value))
    return copy
  }
  const name = Object.getPrototypeOf(value)?.constructor.name ?? 'null'
  if (ArrayBuffer.isView(value)) return new globals[name](mixed(value.buffer, seen))
  return name === 'null' ? globals.Object.create(null) : new globals[name]()
}
