import { isJsonNumber, isJsonPrimitive, isPlain, maxDepth } from './codec.js'
import type { Data } from './guarded-codec.js'

/** The differences from the data that the app was given. */
export interface Changes {
  /** The top-level keys. */
  readonly names: string[]
  /** Whether JSON brings back every changed value. */
  readonly isPlain: boolean
}

const nothing: Changes = { names: [], isPlain: true }

/** An object that the app was given, and the properties it had then. `keys` is `undefined` for an array. */
interface Node {
  readonly object: object
  readonly keys: readonly string[] | undefined
  readonly values: readonly unknown[]
}

/**
 * Plain JSON data as the app was given them. Remembers primitives and which objects held them: as long as every object holds
 * what it held, there can be no cycle, no shared reference and no deeper level.
 */
export class Given {
  readonly #names: readonly string[]
  /** For each name a primitive, or the `Node[]` of an object and all objects in it, none before the one that holds it. */
  readonly #values: readonly unknown[]

  private constructor(names: readonly string[], values: readonly unknown[]) {
    this.#names = names
    this.#values = values
  }

  /** `data` come from JSON, or were written as JSON just now. `undefined`: the codec would not write them so. */
  static of(data: Data): Given | undefined {
    const values: unknown[] = Object.values(data)
    for (let index = 0; index < values.length; index++) {
      const value = values[index]
      if (isObject(value)) {
        const nodes = nodesOf(value)
        if (!nodes) return undefined
        values[index] = nodes
      } else if (typeof value === 'number' && !isJsonNumber(value)) return undefined
    }
    return new Given(Object.keys(data), values)
  }

  /**
   * The names, of all or of `among`, whose values in `now` are not those that were given. Runs no code of the app, and
   * encodes only what was replaced, to compare it with `base`: the same data once more. Throws ERR_SESSION_ENCODE for a
   * changed value that cannot be encoded.
   */
  changes(now: Data, base: () => Data, among?: readonly string[]): Changes {
    const names = Object.keys(now)
    const values = Object.values(now)
    const suspects: string[] = []
    let replaced: string[] | undefined
    let known = 0
    let next = 0
    for (let index = 0; index < names.length; index++) {
      const name = names[index] as string
      const at = this.#names[next] === name ? next : this.#names.indexOf(name)
      if (at >= 0) {
        known++
        next = at + 1
        const same = isSame(this.#values[at], values[index])
        if (same) continue
        if (same === undefined) {
          replaced ??= []
          replaced.push(name)
        }
      }
      suspects.push(name)
    }
    if (suspects.length === 0 && known === this.#names.length) return nothing
    const changed = this.#check(suspects, replaced, now, base)
    for (const name of known < this.#names.length ? (among ?? this.#names) : []) {
      if (!Object.hasOwn(now, name) && this.#names.includes(name)) changed.names.push(name)
    }
    return changed
  }

  /** Drop the `replaced` that are equal, and find out how the others can be written. */
  #check(suspects: readonly string[], replaced: readonly string[] | undefined, now: Data, base: () => Data): Changes {
    const seen = new Set<object>()
    if (suspects.some(name => isObject(now[name]))) {
      this.#names.forEach((name, index) => {
        const nodes = this.#values[index]
        if (!isObject(nodes) || suspects.includes(name) || !Object.hasOwn(now, name)) return
        for (const { object } of nodes as Node[]) seen.add(object)
      })
    }
    let data: Data | undefined
    let plain = true
    const names = suspects.filter(name => {
      if (isJsonPrimitive(now[name])) return true
      const value = { [name]: now[name] }
      const isJson = isPlain(value, seen)
      if (isJson && replaced?.includes(name)) {
        data ??= base()
        if (JSON.stringify(value) === JSON.stringify({ [name]: data[name] })) return false
      }
      plain &&= isJson
      return true
    })
    return { names, isPlain: plain }
  }
}

/** `undefined`: an object was replaced by another one, which may be equal. */
function isSame(was: unknown, now: unknown): boolean | undefined {
  if (!isObject(was)) return Object.is(was, now)
  const nodes = was as Node[]
  if (nodes[0]?.object !== now) return isObject(now) ? undefined : false
  for (const node of nodes) {
    const same = node.keys ? isSameRecord(node.object, node.keys, node.values) : isSameArray(node)
    if (!same) return same
  }
  return true
}

function isSameRecord(record: object, keys: readonly string[], values: readonly unknown[]): boolean | undefined {
  if (Object.getPrototypeOf(record) !== Object.prototype) return undefined
  const names = Object.getOwnPropertyNames(record)
  if (names.length !== keys.length || Object.getOwnPropertySymbols(record).length > 0) return false
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index] as string
    if (names[index] !== key) return false
    const property = Object.getOwnPropertyDescriptor(record, key)
    // The value of an accessor is `undefined`, which no plain data have.
    const same = property?.enumerable ? isSameValue(values[index], property.value) : false
    if (!same) return same
  }
  return true
}

function isSameArray({ object, values }: Node): boolean | undefined {
  const array = object as unknown[]
  const { length } = values
  if (Object.getPrototypeOf(array) !== Array.prototype) return undefined
  if (array.length !== length) return false
  // Its elements, all enumerable, and its length. A hole shows as `undefined` below.
  if (Reflect.ownKeys(array).length !== length + 1 || Object.keys(array).length !== length) return false
  for (let index = 0; index < length; index++) {
    // A third of the time that a descriptor takes.
    const same = getterOf.call(array, index) === undefined && isSameValue(values[index], array[index])
    if (!same) return same
  }
  return true
}

const isSameValue = (was: unknown, now: unknown): boolean | undefined =>
  Object.is(was, now) || (isObject(was) && isObject(now) ? undefined : false)

const getterOf: (this: object, key: number) => unknown = Reflect.get(Object.prototype, '__lookupGetter__')

/** `undefined` for what the codec would not write as JSON. A list, because `JSON.parse` knows no deepest level. */
function nodesOf(value: object): Node[] | undefined {
  const nodes = [nodeOf(value)]
  let level = 1
  let end = 1
  for (let index = 0; index < nodes.length; index++) {
    if (index === end) {
      if (++level === maxDepth) return undefined
      end = nodes.length
    }
    const { values } = nodes[index] as Node
    for (let at = 0; at < values.length; at++) {
      const inner = values[at]
      if (isObject(inner)) nodes.push(nodeOf(inner))
      else if (typeof inner === 'number' && !isJsonNumber(inner)) return undefined
    }
  }
  return nodes
}

const nodeOf = (object: object): Node =>
  Array.isArray(object)
    ? { object, keys: undefined, values: object.slice() }
    : { object, keys: Object.keys(object), values: Object.values(object) }

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
