import { isDeepStrictEqual, types } from 'node:util'
import { parse, stringify } from 'devalue'

/** Plain data, the built-ins below, `undefined`, `NaN`, `-0`, holes, shared references and cycles as text. */
export const stringifyRich = (value: unknown): string => stringify(value, reducers, { operations: { shapeOf, get } })

/** What `stringifyRich` was given. Of another text it throws, or makes nothing worse than these kinds of data. */
export const parseRich = (text: string): unknown => parse(text, revivers, { operations: { set } })

const has = (value: object, properties: number): boolean => Reflect.ownKeys(value).length === properties

/** Throws for a detached one. */
const isFixed = (buffer: object): buffer is ArrayBuffer =>
  Object.getPrototypeOf(buffer) === ArrayBuffer.prototype &&
  types.isArrayBuffer(buffer) &&
  has(buffer, 0) &&
  !Reflect.get(buffer, 'resizable') &&
  new Uint8Array(buffer).length === buffer.byteLength

/**
 * The built-ins that come back as they were, by prototype: is `value` truly one, with nothing added to it and in no state
 * that the text has no place for?
 */
export const builtIns = new Map<object, (value: object) => boolean>([
  [Date.prototype, value => types.isDate(value) && has(value, 0)],
  [Map.prototype, value => types.isMap(value) && has(value, 0)],
  [Set.prototype, value => types.isSet(value) && has(value, 0)],
  [RegExp.prototype, value => types.isRegExp(value) && has(value, 1) && value.lastIndex === 0],
  [URL.prototype, value => has(value, 0) && new URL((value as URL).href).href === (value as URL).href],
  [ArrayBuffer.prototype, isFixed],
])
// Listing the properties of a view would list its bytes, 8 s for 10 MB. Comparing with a twin looks only at the others.
// Most Buffers are a part of a pool they share with strangers, so a Buffer is its bytes alone.
builtIns.set(
  Buffer.prototype,
  value =>
    types.isUint8Array(value) &&
    types.isArrayBuffer(value.buffer) &&
    isDeepStrictEqual(value, Buffer.from(value.buffer, value.byteOffset, value.length)),
)
const viewTypes: (new (buffer: ArrayBuffer) => ArrayBufferView)[] = [
  ...[DataView, Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array],
  ...[Float32Array, Float64Array, BigInt64Array, BigUint64Array],
]
for (const View of viewTypes) {
  builtIns.set(View.prototype, value => {
    if (!ArrayBuffer.isView(value) || !isFixed(value.buffer)) return false
    return value.byteLength === value.buffer.byteLength && isDeepStrictEqual(value, new View(value.buffer))
  })
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
  // What a prototype has under that name must neither be called nor hinder.
  if (name in holder)
    Object.defineProperty(holder, name, { value, writable: true, enumerable: true, configurable: true })
  else holder[name] = value
}
