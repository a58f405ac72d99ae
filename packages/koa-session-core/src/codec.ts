import { types } from 'node:util'
import { isSessionError, SessionError } from './errors.js'
import { builtIn, comesBack, parseRich, stringifyRich } from './rich-text.js'

/** Converts session data to text and back. */
export interface Codec {
  /** Returns the text for `value`, always the same one. Throws if `parse` would return a different value. */
  stringify(value: unknown): string
  /** Returns the value of a text that `stringify` made. Throws for any other text, and runs no code from it. */
  parse(text: string): unknown
}

/** Marks a text that is more than JSON. No JSON text starts with it. */
const richMark = '~'
export const maxDepth = 1000

/** Property names, and the numbers of entries in a Map or Set. */
type Path = (string | number)[]

/**
 * Writes plain data as JSON text. Date, Map, Set, BigInt, URL, RegExp, Buffer, typed arrays, `undefined`, `NaN`, `-0`, holes,
 * null prototypes, shared references and cycles are written in another form behind a `~`. Anything else, such as a function
 * or an instance of a class, is an `ERR_SESSION_ENCODE` that names its path.
 */
export function jsonCodec(): Codec {
  return { stringify, parse }
}

/** Whether `text` is JSON by `jsonCodec`. */
export const isJsonText = (codec: Codec, text: string): boolean =>
  codec.stringify === stringify && codec.parse === parse && !text.startsWith(richMark)

function stringify(value: unknown): string {
  return guarded(path => (isJson(value, path, new Set()) ? JSON.stringify(value) : richMark + stringifyRich(value)))
}

/**
 * Whether `value` survives JSON unchanged. If not, `stringify` writes it in the other form, or this throws as `stringify`
 * does. Objects in `seen` are elsewhere in the session already, so JSON would duplicate them.
 */
export const isPlain = (value: unknown, seen: Set<object>): boolean => guarded(path => isJson(value, path, seen))

function guarded<Result>(walk: (path: Path) => Result): Result {
  const path: Path = []
  try {
    return walk(path)
  } catch (error) {
    throw isSessionError(error) ? error : refusal('a value that throws while it is read', path, error)
  }
}

function parse(text: string): unknown {
  if (!text.startsWith(richMark)) return JSON.parse(text)
  const value = parseRich(text.slice(richMark.length))
  // The library reads more texts than it writes. A text that it would write differently is foreign or was tampered with.
  if (stringify(value) !== text) throw new SyntaxError('not a text of this codec')
  return value
}

/** Whether JSON brings back `value`, which is no object. */
export const isJsonPrimitive = (value: unknown): boolean =>
  typeof value === 'string' ||
  typeof value === 'boolean' ||
  value === null ||
  (typeof value === 'number' && isJsonNumber(value))

export const isJsonNumber = (value: number): boolean => Number.isFinite(value) && !Object.is(value, -0)

/**
 * Whether `value` survives JSON unchanged. Throws if it would not survive the library either. Calls no getter and no trap, so
 * that nothing can change between the check and the writing.
 */
function isJson(value: unknown, path: Path, seen: Set<object>): boolean {
  if (typeof value !== 'object' || value === null) {
    if (isJsonPrimitive(value)) return true
    if (typeof value === 'number' || typeof value === 'undefined' || typeof value === 'bigint') return false
    throw refusal(`a ${typeof value}`, path, undefined, remedy)
  }
  if (seen.has(value)) return false
  seen.add(value)
  if (path.length >= maxDepth) throw refusal(`more than ${maxDepth} levels`, path)
  if (types.isProxy(value)) throw refusal('a Proxy', path)

  const prototype: object | null = Object.getPrototypeOf(value)
  let name: string | undefined
  if (prototype === null || prototype === Object.prototype) name = 'Object'
  else name = prototype === Array.prototype ? 'Array' : builtIn(prototype)?.name
  const array = name === 'Array' && Array.isArray(value)
  if (!array && prototype !== null && name !== 'Object') {
    entriesOf(value, prototype, path).forEach((entry, index) => {
      path.push(index)
      for (const part of entry) isJson(part, path, seen)
      path.pop()
    })
    return false
  }

  const keys = Reflect.ownKeys(value)
  // Properties that were added to an array come after its length.
  if (array && keys.pop() !== 'length') throw refusal('an array with extra properties', path)
  let json = array ? keys.length === value.length : prototype !== null
  for (const key of keys) {
    if (typeof key === 'symbol') throw refusal('a property named by a symbol', path)
    path.push(key)
    const property = Object.getOwnPropertyDescriptor(value, key)
    if (!property?.enumerable) throw refusal('a property that is not enumerable', path)
    if (!('value' in property)) throw refusal('a getter or setter', path)
    if (!isJson(property.value, path, seen)) json = false
    path.pop()
  }
  return json
}

/** The contents of a built-in that comes back as it was. Throws for every other object. */
function entriesOf(value: object, prototype: object, path: Path): unknown[][] {
  const same = comesBack(value, prototype)
  if (!same) {
    const kind = instanceOf(prototype)
    throw refusal(same === false ? `${kind} that would come back different` : kind, path, undefined, remedy)
  }
  if (types.isMap(value)) return [...value]
  return types.isSet(value) ? Array.from(value, item => [item]) : []
}

const remedy = ': store plain data instead, such as an id'

/** How messages call an object with that prototype, which is none of the usual ones. */
function instanceOf(prototype: object): string {
  const name: unknown = prototype.constructor?.name
  if (name === 'Object') return 'an object with a prototype of its own'
  return `an instance of ${typeof name === 'string' && name !== '' ? name : 'a class'}`
}

function refusal(kind: string, path: Path, cause?: unknown, advice = ''): SessionError {
  const steps = path.map(step => {
    if (typeof step === 'number') return `.entries()[${step}]`
    if (/^\d+$/.test(step)) return `[${step}]`
    return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`
  })
  const text = steps.join('').replace(/^\./, '')
  const place = text.length > 200 ? `${text.slice(0, 200)}…` : text || 'the top level'
  return new SessionError('ERR_SESSION_ENCODE', `a session cannot hold ${kind}, found at ${place}${advice}`, cause)
}
