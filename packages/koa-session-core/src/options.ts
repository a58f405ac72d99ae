import type { Context } from 'koa'
import { type Codec, jsonCodec } from './codec.js'
import { type CookieOptions, cookieTransport, type Transport } from './cookie.js'
import { encryption, noSeal, type Seal } from './encryption.js'
import { sha256 } from './id.js'
import { memoryStore } from './memory-store.js'
import type { MaxAge } from './record.js'
import type { SessionData } from './session.js'
import type { Store } from './store.js'

/** All times are milliseconds. */
export interface SessionOptions {
  /**
   * Where sessions are kept. The default warns once when `NODE_ENV` is `production`.
   * @default memoryStore()
   */
  readonly store?: Store
  /**
   * The cookie that carries the id.
   * @default { path: '/', httpOnly: true, sameSite: 'lax', secure: 'auto' }
   */
  readonly cookie?: CookieOptions
  /**
   * How long a session lives without a request, in milliseconds. The default follows NIST SP 800-63B-4, AAL2.
   * @default 3_600_000
   */
  readonly idleTimeout?: number
  /**
   * How long a session lives at most, in milliseconds, since it was created, regenerated or changed its subject. `Infinity`
   * is allowed.
   * @default 86_400_000
   */
  readonly absoluteTimeout?: number
  /**
   * How stale, in milliseconds, the time of the last use may be before a request that only reads moves it in the store.
   * @default a tenth of idleTimeout, at most 60_000
   */
  readonly touchInterval?: number
  /**
   * What new sessions start with: `'session'`, or milliseconds for a persistent cookie.
   * @default 'session'
   */
  readonly maxAge?: MaxAge
  /**
   * Whose session this is, for example `data => data.userId?.toString()`. Enables `list` and `revokeAll`, and gives the
   * session a new id by itself when the answer changes. Stores see its SHA-256 only.
   * @default none
   */
  readonly subject?: (data: SessionData) => string | undefined
  /**
   * How the id travels, instead of a cookie: `headerTransport({ name })` or your own.
   * @default the cookie
   */
  readonly transport?: Transport
  /**
   * Between data and text. Must be deterministic.
   * @default jsonCodec()
   */
  readonly codec?: Codec
  /**
   * Seal records with AES-256-GCM. The first key seals, all open; each is 32 bytes or a passphrase of 32 or more
   * characters.
   * @default none
   */
  readonly encryptionKeys?: readonly (string | Uint8Array)[]
  /**
   * The bound in milliseconds on every call of the store, and on a commit with its retries and its wait.
   * @default 5_000
   */
  readonly storeTimeout?: number
  /**
   * What a request gets whose session cannot be read: `'reject'` answers 503, `'anonymous'` serves it with an empty session
   * of which nothing is kept.
   * @default 'reject'
   */
  readonly storeFailure?: 'reject' | 'anonymous'
  /**
   * The most bytes of one encoded session.
   * @default 1_048_576
   */
  readonly maxBytes?: number
  /**
   * How often a store that needs it is swept, in milliseconds, from the first request on; `0`: never.
   * @default 300_000
   */
  readonly sweepInterval?: number
  /**
   * Receives the failures that no request can carry.
   * @default app.emit('error', error, ctx)
   */
  readonly onError?: (error: Error, ctx?: Context) => void
}

/** Checked, and with every default in place. */
export interface ResolvedOptions {
  readonly store: Store
  readonly isDefaultStore: boolean
  readonly transport: Transport
  readonly idleTimeout: number
  readonly absoluteTimeout: number
  readonly touchInterval: number
  readonly maxAge: MaxAge
  /** SHA-256 of the subject. */
  readonly subjectOf: ((data: SessionData) => string | undefined) | undefined
  readonly codec: Codec
  readonly seal: Seal
  readonly storeTimeout: number
  readonly storeFailure: 'reject' | 'anonymous'
  readonly maxBytes: number
  readonly sweepInterval: number
  readonly onError: ((error: Error, ctx?: Context) => void) | undefined
}

const names = new Set([
  ...['store', 'cookie', 'idleTimeout', 'absoluteTimeout', 'touchInterval', 'maxAge', 'subject', 'transport', 'codec'],
  ...['encryptionKeys', 'storeTimeout', 'storeFailure', 'maxBytes', 'sweepInterval', 'onError'],
])

const headerNames = /^[\w!#$%&'*+.^`|~-]+( *, *[\w!#$%&'*+.^`|~-]+)*$/

/** The longest term in milliseconds, about 300 years: any later moment is still a safe integer and a valid Date. */
const longest = 1e13
/** The longest delay a Node timer can keep. */
const longestTimer = 2 ** 31 - 1

export function resolveOptions(options: SessionOptions): ResolvedOptions {
  checkNames('session()', options, names)
  const { idleTimeout = 3_600_000, absoluteTimeout = 86_400_000, maxAge = 'session', storeTimeout = 5_000 } = options
  const { storeFailure = 'reject', maxBytes = 1_048_576, sweepInterval = 300_000 } = options
  const { store, codec, encryptionKeys, subject, transport, onError } = options
  time('idleTimeout', idleTimeout, 1, longest)
  if (absoluteTimeout !== Number.POSITIVE_INFINITY) time('absoluteTimeout', absoluteTimeout, 1, longest, ' or Infinity')
  const { touchInterval = Math.min(Math.floor(idleTimeout / 10), 60_000) } = options
  time('touchInterval', touchInterval, 0, longest)
  if (touchInterval >= idleTimeout) fail('touchInterval', 'must be less than idleTimeout', touchInterval)
  checkMaxAge('session(): option maxAge', maxAge)
  if (storeFailure !== 'reject' && storeFailure !== 'anonymous') {
    fail('storeFailure', "must be 'reject' or 'anonymous'", storeFailure)
  }
  for (const [name, value] of Object.entries({ subject, onError })) {
    if (value !== undefined && typeof value !== 'function') fail(name, 'must be a function', value)
  }
  if (store !== undefined) {
    const abilities = ['sweep', 'keys'].filter(ability => ability in Object(store))
    methods('store', store, ['read', 'write', 'touch', 'destroy', 'close', ...abilities])
    if (typeof store.name !== 'string') fail('store', 'must have a name', store)
  }
  if (codec !== undefined) methods('codec', codec, ['stringify', 'parse'])
  if (transport !== undefined) {
    methods('transport', transport, ['read', 'write'])
    const vary: unknown = transport.vary
    if (vary !== undefined && !(typeof vary === 'string' && headerNames.test(vary))) {
      fail('transport', 'must have as vary, if any, header names separated by commas', vary)
    }
  }
  if (transport !== undefined && options.cookie !== undefined) {
    fail('cookie', 'has no effect beside transport: give one of the two', options.cookie)
  }
  return {
    store: store ?? memoryStore(),
    isDefaultStore: store === undefined,
    transport: transport ?? cookieTransport(options.cookie),
    idleTimeout,
    absoluteTimeout,
    touchInterval,
    maxAge,
    subjectOf: subject && hashed(subject),
    codec: codec ?? jsonCodec(),
    seal: encryptionKeys === undefined ? noSeal : encryption(checkedKeys(encryptionKeys)),
    storeTimeout: time('storeTimeout', storeTimeout, 1, longestTimer),
    storeFailure,
    maxBytes: time('maxBytes', maxBytes, 1, Number.MAX_SAFE_INTEGER, '', 'bytes'),
    sweepInterval: time('sweepInterval', sweepInterval, 0, longestTimer),
    onError,
  }
}

function hashed(subject: (data: SessionData) => string | undefined): (data: SessionData) => string | undefined {
  return data => {
    const whose: unknown = subject(data)
    if (whose === undefined) return undefined
    if (typeof whose === 'string' && whose !== '') return sha256(whose)
    const got = whose === '' ? 'an empty string' : typeof whose
    throw new TypeError(`session(): option subject must return a non-empty string or undefined, it returned ${got}`)
  }
}

function checkedKeys(keys: readonly (string | Uint8Array)[]): readonly (string | Uint8Array)[] {
  const good = (key: unknown) =>
    (key instanceof Uint8Array && key.length === 32) || (typeof key === 'string' && key.length >= 32)
  // A copy, because `every` passes over the holes of a sparse array.
  if (Array.isArray(keys) && keys.length > 0 && [...keys].every(good)) return keys
  const rule = 'must be an array of keys, each 32 bytes or a passphrase of 32 or more characters'
  throw new TypeError(`session(): option encryptionKeys ${rule} (the value is not shown)`)
}

export function checkMaxAge(name: string, value: unknown): void {
  if (value === 'session' || isWhole(value, 1, longest)) return
  throw new TypeError(
    `${name} must be 'session' or a whole number of milliseconds from 1 to ${longest}, got ${show(value)}`,
  )
}

export function checkNames(where: string, options: unknown, known: ReadonlySet<string>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError(`${where} takes an object of options, got ${show(options)}`)
  }
  for (const [name, value] of Object.entries(options)) {
    if (known.has(name)) continue
    const shown = /key|secret|pass/i.test(name) ? '' : `, got ${show(value)}`
    throw new TypeError(`${where} has no option ${name}${shown}; it has ${[...known].join(', ')}`)
  }
}

function time(name: string, value: unknown, least: number, most: number, also = '', unit = 'milliseconds'): number {
  if (isWhole(value, least, most)) return value
  return fail(name, `must be a whole number of ${unit} from ${least} to ${most}${also}`, value)
}

const isWhole = (value: unknown, least: number, most: number): value is number =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most

function methods(name: string, value: unknown, required: readonly string[]): void {
  for (const method of required) {
    if (typeof (value as Record<string, unknown> | null)?.[method] === 'function') continue
    fail(name, `must have the methods ${required.join(', ')}, ${method} is missing`, value)
  }
}

function fail(name: string, rule: string, value: unknown): never {
  throw new TypeError(`session(): option ${name} ${rule}, got ${show(value)}`)
}

/** A value for an error message, short. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 50 ? `${value.slice(0, 50)}…` : value)
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object'
  return typeof value === 'function' ? 'a function' : String(value)
}
