import { inspect } from 'node:util'
import type { MaxAge } from './record.js'

/**
 * The data that the app keeps in a session. Declare its properties once, and `ctx.session` is typed everywhere:
 *
 * ```ts
 * declare module 'koa-session-core' { interface SessionData { userId?: number } }
 * ```
 */
export interface SessionData {}

/** Called when a session operation has ended, with its error if it failed. */
export type SessionCallback = (error?: unknown) => void

/** The members of every session beside its data: on the prototype, not enumerable, not to be overwritten. */
export interface SessionMembers {
  /** The secret in the cookie: 32 random bytes as 43 base64url characters. Reading it stores nothing. */
  readonly id: string
  /**
   * SHA-256 of the id, and of the name that the app gave the cookie or header: 64 lower-case hex characters. Stores, logs
   * and device lists use it.
   */
  readonly key: string
  /** True until the session is first stored. */
  readonly isNew: boolean
  /** Epoch milliseconds from which `absoluteTimeout` counts. */
  readonly createdAt: number
  /** Epoch milliseconds at which the session ends unless it is used before. */
  readonly expiresAt: number
  /** `'session'`, or the milliseconds without a request for which browser and store keep this session (remember-me). */
  maxAge: MaxAge
  /** Remove all data, keep the session. */
  readonly clear: () => void
  /**
   * Record a use of the session now, without a request: moves `expiresAt`, stores nothing else. Resolves to whether the session
   * is still live; `false` for one that was never stored.
   */
  readonly touch: () => Promise<boolean>
  /**
   * Change the id, keep the data and this object. Resolves when the new record is stored and the old one dead; `false`:
   * the session was gone. Rejects like `save`.
   */
  readonly rotateId: () => Promise<boolean>
  /**
   * Destroy this session at once and put a new, empty one with a new id into `ctx.session`. It is not stored until it has data.
   * It keeps the messages that this request queued by `ctx.flash`.
   */
  readonly regenerate: (callback?: SessionCallback) => Promise<void>
  /** Destroy this session. Resolves when it is gone from the store; `ctx.session` is a new, empty one. */
  readonly destroy: (callback?: SessionCallback) => Promise<void>
  /**
   * Store the changes now, not after the handler. Resolves to whether they are stored; `false`: the session was gone. Resolves
   * to `true` without a store call if nothing changed. Rejects with a `SessionError` if the store fails or the data cannot be
   * encoded.
   */
  readonly save: (callback?: SessionCallback) => Promise<boolean>
  /**
   * Read, change and write in one atomic step. `change` changes its argument in place, and what it returns is ignored. It is
   * synchronous, and runs again on fresh data after a lost race, or if it leaves nothing to write. Resolves and rejects like `save`. After a lost reply and a commit by another request, a
   * change may be applied twice.
   */
  readonly update: (change: (data: SessionData) => void) => Promise<boolean>
}

export type Session = SessionMembers & SessionData

/** The work behind a session's members, for one request. */
export interface SessionHandle
  extends Pick<SessionMembers, 'id' | 'key' | 'isNew' | 'createdAt' | 'expiresAt' | 'maxAge'> {
  touch(): Promise<boolean>
  /** Store the session: under a new id, or with `change` applied to the newest data. */
  save(how: SaveOptions, callback?: SessionCallback): Promise<boolean>
  /** End the session. With `isLogin` another one takes its place by `regenerate`. */
  leave(isLogin: boolean, callback?: SessionCallback): Promise<void>
}

export interface SaveOptions {
  /** Change the id even if nothing else changed. */
  readonly rotate?: boolean
  /** Applied to the newest data, and again after each lost race. */
  readonly change?: (data: SessionData) => unknown
}

/** The object behind `ctx.session`: own properties are the user's data and nothing else. */
export class SessionBag implements SessionMembers {
  readonly #handle: SessionHandle

  constructor(handle: SessionHandle) {
    this.#handle = handle
  }

  get id(): string {
    return this.#handle.id
  }

  get key(): string {
    return this.#handle.key
  }

  get isNew(): boolean {
    return this.#handle.isNew
  }

  get createdAt(): number {
    return this.#handle.createdAt
  }

  get expiresAt(): number {
    return this.#handle.expiresAt
  }

  get maxAge(): MaxAge {
    return this.#handle.maxAge
  }

  set maxAge(value: MaxAge) {
    this.#handle.maxAge = value
  }

  clear(): void {
    for (const name of Object.keys(this)) put(this, name, {})
  }

  touch(): Promise<boolean> {
    return this.#handle.touch()
  }

  rotateId(): Promise<boolean> {
    return this.#handle.save({ rotate: true })
  }

  regenerate(callback?: SessionCallback): Promise<void> {
    return this.#handle.leave(true, callback)
  }

  destroy(callback?: SessionCallback): Promise<void> {
    return this.#handle.leave(false, callback)
  }

  save(callback?: SessionCallback): Promise<boolean> {
    return this.#handle.save({}, callback)
  }

  update(change: (data: SessionData) => void): Promise<boolean> {
    if (typeof change !== 'function') throw new TypeError(`update(fn): fn must be a function, got ${typeof change}`)
    return this.#handle.save({ change })
  }
}

const reserved = new Set(Object.getOwnPropertyNames(SessionBag.prototype))
reserved.delete('constructor')

// Every member becomes an accessor that refuses assignment; `constructor` and `__proto__` become ordinary keys.
const prototype: object = SessionBag.prototype
for (const name of reserved) {
  const { value, get, set } = Object.getOwnPropertyDescriptor(prototype, name) as PropertyDescriptor
  Object.defineProperty(prototype, name, {
    get: get ?? (() => value),
    set: set ?? (() => refuse(name)),
    configurable: false,
    enumerable: false,
  })
}
Reflect.deleteProperty(prototype, 'constructor')
Object.setPrototypeOf(prototype, null)
// Libraries call these on any object. Writable, so that these too are ordinary keys.
for (const name of [
  'hasOwnProperty',
  'isPrototypeOf',
  'propertyIsEnumerable',
  'toString',
  'toLocaleString',
  'valueOf',
]) {
  const value: unknown = Reflect.get(Object.prototype, name)
  Object.defineProperty(prototype, name, { value, writable: true, configurable: true, enumerable: false })
}
Object.defineProperty(prototype, inspect.custom, {
  value(this: object) {
    return { ...this }
  },
})

/** The names that cannot be keys of the data. */
export const isReserved = (name: string): boolean => reserved.has(name)

function refuse(name: string): never {
  throw new TypeError(`session.${name} is a member of every session and cannot be overwritten; choose another key`)
}

/** Whether `value` is nothing but its properties. It may come from another realm. */
export function isData(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: object | null = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** Keep the data of `bag`, whose session has ended, and refuse every change of them. */
export function end(bag: object): void {
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(bag))) {
    if (!property.configurable || !('value' in property)) continue
    Object.defineProperty(bag, name, { get: () => property.value, set: () => refuseEnded(name) })
  }
  Object.setPrototypeOf(bag, endedPrototype)
  Object.freeze(bag)
}

// Properties that a session has not are set here.
const endedPrototype = new Proxy(prototype, { set: (_, name) => refuseEnded(String(name)) })

function refuseEnded(name: string): never {
  throw new TypeError(
    `session.${name} cannot be changed: this session has ended. ctx.session is the one that took its place`,
  )
}

/** Give `bag` the own properties of `data`, or throw a TypeError and leave it as it is. */
export function assign(bag: SessionBag, data: object): void {
  const properties: Record<string, unknown> = { ...data }
  for (const name of Object.keys(properties)) if (reserved.has(name)) refuse(name)
  bag.clear()
  for (const name of Object.keys(properties)) put(bag, name, properties)
}

/** Give `bag`, which is empty, the properties of decoded `data`. Throws a TypeError at one that it cannot have. */
export function fill(bag: SessionBag, data: Readonly<Record<string, unknown>>): void {
  // The other members refuse by themselves.
  if (Object.hasOwn(data, 'maxAge')) refuse('maxAge')
  // After assignments by computed names V8 would look up every property in a hash table.
  Object.assign(bag, data)
}

/** Copy one property from `from` to `bag`, or delete it if `from` has none. */
export function put(bag: object, name: string, from: object): void {
  const properties = bag as Record<string, unknown>
  if (Object.hasOwn(from, name)) properties[name] = (from as Record<string, unknown>)[name]
  else delete properties[name]
}
