import { isJsonNumber, isPlain, maxDepth } from './codec.js'
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
class Node {
  readonly object: object
  readonly keys: string[] | undefined
  readonly values: readonly unknown[]

  constructor(object: object) {
    this.object = object
    this.keys = Array.isArray(object) ? undefined : Object.keys(object)
    this.values = Array.isArray(object) ? object.slice() : Object.values(object)
  }
}

/** Plain JSON data as the app was given it: its primitives, and which objects held them. */
export class Given {
  /** By top-level key: a primitive, or an object with all objects in it, each behind the one that holds it. */
  readonly #values = new Map<string, unknown>()

  /** `undefined`: this is data that `JSON.stringify` would not bring back, or refuse, although `JSON.parse` made it. */
  static of(data: Data): Given | undefined {
    const given = new Given()
    for (const name of Object.keys(data)) {
      const value = data[name]
      const kept = isObject(value) ? nodesOf(value) : value
      if (kept === undefined || !isJsonLeaf(kept)) return undefined
      given.#values.set(name, kept)
    }
    return given
  }

  /**
   * The keys, of all or of `among`, whose values in `now` are not those that were given. Runs no code of the app, and
   * encodes only what was replaced: by `base`, what was given anew. Throws ERR_SESSION_ENCODE for a value that cannot be
   * encoded.
   */
  changes(now: Data, among: readonly string[] | undefined, base: () => Data): Changes {
    const changed: string[] = []
    const replaced = new Set<string>()
    const untouched: (readonly Node[])[] = []
    let known = 0
    for (const name of among ?? Object.keys(now)) {
      const was = this.#values.get(name)
      if (was !== undefined) known++
      const isThere = Object.hasOwn(now, name)
      if (!isThere && was === undefined) continue
      const same = isThere && isSame(was, now[name])
      if (!same) changed.push(name)
      if (same === undefined) replaced.add(name)
      if (same && isObject(was)) untouched.push(was as Node[])
    }
    if (!among && known < this.#values.size) {
      for (const name of this.#values.keys()) if (!Object.hasOwn(now, name)) changed.push(name)
    }
    return changed.length === 0 ? nothing : check(changed, replaced, untouched, now, base)
  }
}

/** Drop those of `replaced` that are equal, and find out how the others can be written. */
function check(
  changed: string[],
  replaced: ReadonlySet<string>,
  untouched: (readonly Node[])[],
  now: Data,
  base: () => Data,
): Changes {
  let plain = true
  let seen: Set<object> | undefined
  let before: Data | undefined
  const names = changed.filter(name => {
    if (!Object.hasOwn(now, name)) return true
    const value = { [name]: now[name] }
    if (isObject(now[name])) seen ??= new Set(untouched.flatMap(nodes => nodes.map(({ object }) => object)))
    const isJson = isPlain(value, seen ?? new Set())
    if (isJson && replaced.has(name)) {
      before ??= base()
      if (JSON.stringify(value) === JSON.stringify({ [name]: before[name] })) return false
    }
    plain &&= isJson
    return true
  })
  return { names, isPlain: plain }
}

/** `undefined`: an object was replaced by another one, which may be equal. */
function isSame(was: unknown, value: unknown): boolean | undefined {
  if (!isObject(was)) return was !== undefined && Object.is(was, value)
  const nodes = was as Node[]
  if (nodes[0]?.object !== value) return isObject(value) ? undefined : false
  for (const node of nodes) {
    const same = isUntouched(node)
    if (same !== true) return same
  }
  return true
}

/** Whether an object that the app was given still has the properties it had. It cannot be a Proxy. */
function isUntouched({ object, keys, values }: Node): boolean | undefined {
  if (Object.getPrototypeOf(object) !== (keys ? Object.prototype : Array.prototype)) return undefined
  if (!(keys ? hasKeys(object, keys) : hasIndices(object, values.length))) return false
  for (let index = 0; index < values.length; index++) {
    const was = values[index]
    const now = keys ? propertyOf(object, keys[index] as string) : elementOf(object as unknown[], index)
    if (!Object.is(was, now)) return isObject(was) && isObject(now) ? undefined : false
  }
  return true
}

/** Whether these are all keys, in this order. */
function hasKeys(object: object, keys: readonly string[]): boolean {
  const now = Object.getOwnPropertyNames(object)
  if (now.length !== keys.length || Object.getOwnPropertySymbols(object).length > 0) return false
  return keys.every((key, index) => now[index] === key)
}

/** Whether there are so many elements, and nothing else. */
function hasIndices(array: object, length: number): boolean {
  const now = Reflect.ownKeys(array)
  // Properties that were added to an array come after its length.
  return now.length === length + 1 && now[length] === 'length' && Object.keys(array).length === length
}

/** `undefined`, which no plain data has, for an accessor or a property that is not enumerable. */
function propertyOf(object: object, key: string): unknown {
  const property = Object.getOwnPropertyDescriptor(object, key)
  return property?.enumerable ? property.value : undefined
}

/** The same for an array that `hasIndices`, in a third of the time. */
const elementOf = (array: unknown[], index: number): unknown =>
  getterOf.call(array, index) === undefined ? array[index] : undefined
const getterOf: (this: object, key: number) => unknown = Reflect.get(Object.prototype, '__lookupGetter__')

/** `undefined` where the codec would not write it so. A list, not a recursion, because `JSON.parse` knows no deepest level. */
function nodesOf(value: object): Node[] | undefined {
  const nodes = [new Node(value)]
  let level = 1
  let end = 1
  for (let index = 0; index < nodes.length; index++) {
    if (index === end) {
      if (++level === maxDepth) return undefined
      end = nodes.length
    }
    for (const inner of (nodes[index] as Node).values) {
      if (isObject(inner)) nodes.push(new Node(inner))
      else if (!isJsonLeaf(inner)) return undefined
    }
  }
  return nodes
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

const isJsonLeaf = (value: unknown): boolean => typeof value !== 'number' || isJsonNumber(value)
