import { types } from 'node:util'
import type { Context } from 'koa'
import { type AdoptOptions, checkAdopt } from './adopt-options.js'
import { isWhole, kindOf, OptionCheck, show } from './check.js'
import { type Codec, jsonCodec } from './codec.js'
import { type CookieOptions, cookieTransport, type IdTransport, idTransport, type Transport } from './cookie.js'
import { encryption, noSeal, type Seal } from './encryption.js'
import { GuardedCodec } from './guarded-codec.js'
import { sha256 } from './id.js'
import { memoryStore } from './memory-store.js'
import { sessionHints } from './other-libraries.js'
import type { MaxAge } from './record.js'
import type { SessionData } from './session.js'
import type { Store } from './store.js'
import { warnOnce } from './warn-once.js'

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
   * The most a session lives, in milliseconds, after it was created, regenerated or changed its subject. `Infinity` is
   * allowed.
   * @default 86_400_000
   */
  readonly absoluteTimeout?: number
  /**
   * How old `seenAt` may get, in milliseconds, before a read-only request updates it in the store.
   * @default a tenth of idleTimeout, at most 60_000
   */
  readonly touchInterval?: number
  /**
   * The `maxAge` of new sessions: `'session'`, or milliseconds for a persistent cookie.
   * @default 'session'
   */
  readonly maxAge?: MaxAge
  /**
   * Returns whose session this is, for example `data => data.userId?.toString()`. Enables `list` and `revokeAll`, and rotates
   * the session when the result changes. Stores see only its SHA-256.
   * @default none
   */
  readonly subject?: (data: SessionData) => string | undefined
  /**
   * The most sessions of a subject. Signing in beyond it destroys the least recently used. Needs `subject`, and a store that
   * lists.
   * @default Infinity
   */
  readonly maxSessionsPerSubject?: number
  /**
   * How the id travels, instead of a cookie: `headerTransport({ name })` or your own.
   * @default the cookie
   */
  readonly transport?: Transport
  /**
   * Takes over the sessions of another library until a date, so that a change to this one signs nobody out.
   * @default none
   */
  readonly adopt?: AdoptOptions
  /**
   * Converts data to text and back. Must be deterministic.
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
   * Deadline in milliseconds of every store call, and of a commit with its retries and its wait.
   * @default 5_000
   */
  readonly storeTimeout?: number
  /**
   * What to do when a session cannot be read. `'reject'`: the first use of it throws a 503, and a handler that does not use
   * it answers. `'anonymous'`: the request gets an empty session of which nothing is kept.
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
   * Receives the failures that no response can carry, with the `ctx` of the request in which they happened, if any.
   * @default app.emit('error', error, ctx)
   */
  readonly onError?: (error: Error, ctx?: Context) => void
}

/** Checked, and with every default in place. */
export interface ResolvedOptions {
  readonly store: Store
  readonly isDefaultStore: boolean
  readonly transport: IdTransport
  readonly idleTimeout: number
  readonly absoluteTimeout: number
  readonly touchInterval: number
  readonly maxAge: MaxAge
  /** SHA-256 of the subject. */
  readonly subjectOf: ((data: SessionData) => string | undefined) | undefined
  readonly maxSessionsPerSubject: number
  readonly adopt: AdoptOptions | undefined
  readonly codec: GuardedCodec
  readonly keyOf: (id: string) => string
  readonly seal: Seal
  readonly storeTimeout: number
  readonly storeFailure: 'reject' | 'anonymous'
  readonly maxBytes: number
  readonly sweepInterval: number
  readonly onError: ((error: Error, ctx?: Context) => void) | undefined
}

const names = {
  known: [
    ...[
      'store',
      'cookie',
      'idleTimeout',
      'absoluteTimeout',
      'touchInterval',
      'maxAge',
      'subject',
      'transport',
      'adopt',
      'codec',
    ],
    ...[
      'maxSessionsPerSubject',
      'encryptionKeys',
      'storeTimeout',
      'storeFailure',
      'maxBytes',
      'sweepInterval',
      'onError',
    ],
  ],
  hints: sessionHints,
}

const headerNames = /^[\w!#$%&'*+.^`|~-]+( *, *[\w!#$%&'*+.^`|~-]+)*$/

/** The longest term in milliseconds, about 300 years: any later moment is still a safe integer and a valid Date. */
const longest = 1e13
/** The longest delay a Node timer can keep. */
const longestTimer = 2 ** 31 - 1

export function resolveOptions(options: SessionOptions): ResolvedOptions {
  refuseOthers(options)
  const check = new OptionCheck('session()')
  check.names(options, names)
  const { idleTimeout = 3_600_000, absoluteTimeout = 86_400_000, maxAge = 'session', storeTimeout = 5_000 } = options
  const { storeFailure = 'reject', maxBytes = 1_048_576, sweepInterval = 300_000 } = options
  const { store, codec, encryptionKeys, subject, transport, onError } = options
  const { maxSessionsPerSubject = Number.POSITIVE_INFINITY } = options
  const whole = (name: string, value: unknown, least: number, most: number, also = '', unit = 'milliseconds') =>
    check.that(
      name,
      isWhole(value, least, most),
      `must be a whole number of ${unit} from ${least} to ${most}${also}`,
      value,
    )
  whole('idleTimeout', idleTimeout, 1, longest)
  if (absoluteTimeout !== Number.POSITIVE_INFINITY)
    whole('absoluteTimeout', absoluteTimeout, 1, longest, ' or Infinity')
  const { touchInterval = isTerm(idleTimeout) ? Math.min(Math.floor(idleTimeout / 10), 60_000) : 0 } = options
  whole('touchInterval', touchInterval, 0, longest)
  const isLess = !(isTerm(touchInterval) && isTerm(idleTimeout)) || touchInterval < idleTimeout
  check.that('touchInterval', isLess, 'must be less than idleTimeout', touchInterval)
  check.that('maxAge', isMaxAge(maxAge), maxAgeRule, maxAge)
  whole('storeTimeout', storeTimeout, 1, longestTimer)
  whole('maxBytes', maxBytes, 1, Number.MAX_SAFE_INTEGER, '', 'bytes')
  whole('sweepInterval', sweepInterval, 0, longestTimer)
  const isKnown = storeFailure === 'reject' || storeFailure === 'anonymous'
  check.that('storeFailure', isKnown, "must be 'reject' or 'anonymous'", storeFailure)
  for (const [name, value] of Object.entries({ subject, onError })) {
    check.that(name, value === undefined || typeof value === 'function', 'must be a function', value)
  }
  if (store !== undefined) checkStore(check, store)
  if (maxSessionsPerSubject !== Number.POSITIVE_INFINITY) {
    const isCount = Number.isSafeInteger(maxSessionsPerSubject) && maxSessionsPerSubject > 0
    check.that('maxSessionsPerSubject', isCount, 'must be a positive whole number or Infinity', maxSessionsPerSubject)
    if (subject === undefined) check.fault('maxSessionsPerSubject', 'needs the option subject')
    if (store !== undefined && !('keys' in Object(store))) {
      check.fault('maxSessionsPerSubject', 'needs a store that lists its sessions, by the method keys')
    }
  }
  if (options.adopt !== undefined) checkAdopt(check, options.adopt)
  if (codec !== undefined) check.methods('codec', codec, ['stringify', 'parse'])
  if (transport !== undefined) {
    check.methods('transport', transport, ['read', 'write'])
    const vary: unknown = Object(transport).vary
    const isVary = vary === undefined || (typeof vary === 'string' && headerNames.test(vary))
    check.that('transport', isVary, 'must have no vary, or a vary of header names separated by commas', vary)
    if (options.cookie !== undefined) {
      check.fault('cookie', 'has no effect beside transport: set only one of the two')
    }
  }
  if (encryptionKeys !== undefined && !areKeys(encryptionKeys)) {
    const rule = 'must be an array of keys, each 32 bytes or a passphrase of 32 or more characters'
    check.fault('encryptionKeys', `${rule} (the value is not shown)`)
  }
  const carrier = transport ? idTransport(transport) : cookieTransport(options.cookie, check)
  check.end()
  warnOfShortTimes({ maxAge, idleTimeout, absoluteTimeout })
  return {
    store: store ?? memoryStore(),
    isDefaultStore: store === undefined,
    transport: carrier,
    idleTimeout,
    absoluteTimeout,
    touchInterval,
    maxAge,
    subjectOf: subject && hashed(subject),
    maxSessionsPerSubject,
    adopt: options.adopt && { ...options.adopt },
    codec: new GuardedCodec(codec ?? jsonCodec()),
    keyOf: carrier.keyOf,
    seal: encryptionKeys === undefined ? noSeal : encryption(encryptionKeys),
    storeTimeout,
    storeFailure,
    maxBytes,
    sweepInterval,
    onError,
  }
}

/** Refuse arguments that are habits from elsewhere. */
function refuseOthers(options: object): void {
  const has = (...members: string[]) => members.every(member => member in Object(options))
  const got = has('req', 'res', 'app')
    ? 'a Koa context: session makes the middleware, so call it: app.use(session())'
    : has('use', 'callback', 'middleware')
      ? 'a Koa app: write app.use(session())'
      : has('read', 'write', 'destroy') && 'a store: write session({ store })'
  if (got) throw new TypeError(`session() takes an object of options, got ${got}`)
}

function checkStore(check: OptionCheck, store: Store): void {
  const given: object = Object(store)
  const abilities = ['sweep', 'keys'].filter(ability => ability in given)
  const others: readonly [member: string, advice: string][] = [
    ['call', 'a client goes into a store: redisStore({ client })'],
    ['getConnection', 'a pool goes into a store: mysqlStore({ pool })'],
    ['connect', 'a pool goes into a store: postgresStore({ pool })'],
    ['findOne', 'a collection goes into a store: mongoStore({ collection })'],
    ['get', 'stores of other libraries, with get and set, do not fit: take one of koa-session-store-*'],
  ]
  const advice =
    typeof store === 'string'
      ? 'a URL goes into a store: redisStore({ url })'
      : typeof store === 'object'
        ? others.find(([member]) => member in given)?.[1]
        : undefined
  const isComplete = check.methods('store', store, ['read', 'write', 'touch', 'destroy', 'close', ...abilities], advice)
  check.secret('store', !isComplete || typeof store.name === 'string', 'must have a name', store)
}

function hashed(subject: (data: SessionData) => string | undefined): (data: SessionData) => string | undefined {
  return data => {
    const whose: unknown = subject(data)
    if (whose === undefined) return undefined
    if (typeof whose === 'string' && whose !== '') return sha256(whose)
    const got = whose === '' ? 'an empty string' : kindOf(whose)
    throw new TypeError(`session(): option subject must return a non-empty string or undefined, got ${got}`)
  }
}

function areKeys(keys: unknown): boolean {
  const good = (key: unknown) =>
    (types.isUint8Array(key) && key.length === 32) || (typeof key === 'string' && key.length >= 32)
  // A copy, because `every` passes over the holes of a sparse array.
  return Array.isArray(keys) && keys.length > 0 && [...keys].every(good)
}

const maxAgeRule = `must be 'session' or a whole number of milliseconds from 1 to ${longest}`
const isTerm = (value: unknown): boolean => isWhole(value, 1, longest)
const isMaxAge = (value: unknown): boolean => value === 'session' || isTerm(value)

export function checkMaxAge(name: string, value: unknown): void {
  if (!isMaxAge(value)) throw new TypeError(`${name} ${maxAgeRule}, got ${show(value)}`)
  warnOfShortTimes({ [name]: value })
}

/** A time below a minute was probably meant in seconds. */
function warnOfShortTimes(times: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(times)) {
    if (typeof value !== 'number' || value >= 60_000) continue
    const message = `${name} is ${value}, less than a minute: times are milliseconds, and a minute is 60_000`
    warnOnce('KOA_SESSION_SHORT_TIME', message, name)
  }
}
