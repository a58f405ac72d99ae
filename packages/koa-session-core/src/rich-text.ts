import { isDeepStrictEqual, types } from 'node:util'
import { parse, stringify } from 'devalue'

/** Plain data, the built-ins below, `undefined`, `NaN`, `-0`, holes, shared references and cycles as text. */
export const stringifyRich = (value: unknown): string => stringify(value, reducers, { operations: { shapeOf, get } })

/** Reverts `stringifyRich`. From any other text it throws, or makes nothing worse than these kinds of data. */
export const parseRich = (text: string): unknown => parse(text, revivers, { operations: { set } })

const has = (value: object, properties: number): boolean => Reflect.ownKeys(value).length === properties

/** Throws for a detached one. */
const isFixed = (buffer: object): buffer is ArrayBuffer =>
  types.isArrayBuffer(buffer) &&
  builtIn(Object.getPrototypeOf(buffer))?.name === 'ArrayBuffer' &&
  has(buffer, 0) &&
  !Reflect.get(buffer, 'resizable') &&
  new Uint8Array(buffer).length === buffer.byteLength

// Listing the properties of a view would list its bytes, 8 s for 10 MB. Comparing with a twin looks only at the others.
const isWhole = (value: object, { Class }: BuiltIn): boolean => {
  if (!ArrayBuffer.isView(value) || !isFixed(value.buffer)) return false
  return (
    value.byteLength === value.buffer.byteLength && isDeepStrictEqual(value, Reflect.construct(Class, [value.buffer]))
  )
}

/**
 * Is `value` truly one of this class, with nothing added to it and in no state that the text has no place for? Then it
 * comes back as it was.
 */
const checks: Record<string, (value: object, builtIn: BuiltIn) => boolean> = {
  Date: value => types.isDate(value) && has(value, 0),
  Map: value => types.isMap(value) && has(value, 0),
  Set: value => types.isSet(value) && has(value, 0),
  RegExp: value => types.isRegExp(value) && has(value, 1) && value.lastIndex === 0,
  URL: value => has(value, 0) && new URL((value as URL).href).href === (value as URL).href,
  ArrayBuffer: isFixed,
  // Most Buffers are a part of a pool they share with strangers, so a Buffer is its bytes alone.
  Buffer: value =>
    types.isUint8Array(value) &&
    types.isArrayBuffer(value.buffer) &&
    isDeepStrictEqual(value, Buffer.from(value.buffer, value.byteOffset, value.length)),
}
const views = [
  ...[DataView, Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array],
  ...[Float32Array, Float64Array, BigInt64Array, BigUint64Array],
]
for (const { name } of views) checks[name] = isWhole

/** A class of the language or of Node.js. */
interface BuiltIn {
  readonly name: string
  readonly Class: abstract new () => unknown
}

const own = new Map<object, BuiltIn>()
for (const Class of [Date, Map, Set, RegExp, URL, ArrayBuffer, Buffer, ...views]) {
  own.set(Class.prototype, { name: Class.name, Class: Class as unknown as BuiltIn['Class'] })
}

/**
 * The class whose instances inherit from `prototype`: of this realm, or what the same class is in another one, such as the
 * sandbox of a test runner. Told by the text of its constructor, which nothing but a built-in can have.
 */
export function builtIn(prototype: object): BuiltIn | undefined {
  const known = own.get(prototype)
  if (known) return known
  const Class = value(prototype, 'constructor')
  if (typeof Class !== 'function' || value(Class, 'prototype') !== prototype) return undefined
  const name = /^function (\w+)\(\) \{ \[native code\] \}$/.exec(Function.prototype.toString.call(Class))?.[1]
  return name === undefined ? undefined : { name, Class: Class as BuiltIn['Class'] }
}

/** Whether `value`, which inherits from `prototype`, comes back as it was; `undefined`: no instance of its class does. */
export function comesBack(value: object, prototype: object): boolean | undefined {
  const found = builtIn(prototype)
  if (found) return checks[found.name]?.(value, found)
  return isOfFakedClock(value, prototype) || undefined
}

/**
 * Whether `date` is of the class that a library for tests put in place of the global `Date`, now or earlier: a subclass that
 * tells the time itself and gives its instances nothing but a `constructor`.
 */
function isOfFakedClock(date: object, prototype: object): boolean {
  const isEmpty = (object: object) => Reflect.ownKeys(object).every(key => key === 'constructor')
  if (!types.isDate(date) || types.isProxy(prototype) || !isEmpty(date) || !isEmpty(prototype)) return false
  const Class = value(prototype, 'constructor') ?? value(date, 'constructor')
  if (prototype !== Date.prototype && typeof value(Class, 'now') !== 'function') return false
  const parent: object | null = Object.getPrototypeOf(prototype)
  return parent !== null && (builtIn(parent)?.name === 'Date' || isOfFakedClock(date, parent))
}

/** An own property, without calling a getter or a trap. */
function value(holder: unknown, key: string): unknown {
  if (holder === null || (typeof holder !== 'object' && typeof holder !== 'function')) return undefined
  return types.isProxy(holder) ? undefined : Object.getOwnPropertyDescriptor(holder, key)?.value
}

// The library has no form for a Buffer. A reducer says "not mine" by something falsy, so '=' stands for no bytes.
const reducers = { Buffer: (value: unknown) => Buffer.isBuffer(value) && (value.toString('base64') || '=') }
const revivers = {
  Buffer(text: unknown): Buffer {
    if (typeof text !== 'string') throw new TypeError('not base64')
    return Buffer.from(text, 'base64')
  },
}

// The library refuses properties named __proto__, so in its text they have one more ~ in front.
const shapeOf = (record: object) => ({
  kind: Object.getPrototypeOf(record) === null ? ('null-proto' as const) : ('plain' as const),
  keys: Object.keys(record).map(key => (/^~*__proto__$/.test(key) ? `~${key}` : key)),
})
const nameOf = (key: string | number) => (typeof key === 'string' && /^~+__proto__$/.test(key) ? key.slice(1) : key)
const get = (holder: Record<PropertyKey, unknown>, key: string | number): unknown => holder[nameOf(key)]
const set = (holder: Record<PropertyKey, unknown>, key: string | number, value: unknown): void => {
  const name = nameOf(key)
  // A prototype's property of that name must neither be called nor get in the way.
  if (name in holder)
    Object.defineProperty(holder, name, { value, writable: true, enumerable: true, configurable: true })
  else holder[name] = value
}
