import { hash, randomBytes, randomFillSync } from 'node:crypto'
import { remembering } from './remembering.js'

/** A session id: 256 bits from the system's CSPRNG as 43 base64url characters (RFC 4648, section 5). */
export const newId = (): string => randomBytes(32).toString('base64url')

/** Random bytes of the next versions: drawing few at a time costs more than a read from memory. */
const drawn = Buffer.alloc(12 * 256)
let used = drawn.length

/**
 * A name that no other state of a session has: 96 random bits and the monotonic clock in nanoseconds. Clones of a start-up
 * snapshot or of a virtual machine may go on with the same random bytes; the clock tells them apart.
 */
export function newVersion(): string {
  if (used === drawn.length) {
    randomFillSync(drawn)
    used = 0
  }
  used += 12
  return `${drawn.toString('base64url', used - 12, used)}.${process.hrtime.bigint().toString(36)}`
}

/** The characters of an id. */
export const idLength = 43

export const isId = (value: unknown): value is string => typeof value === 'string' && /^[\w-]{43}$/.test(value)

export const isKey = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)

/** SHA-256 in lower-case hex. A store never sees more of an id or a subject. */
export const sha256 = (text: string): string => hash('sha256', text)

/**
 * Hashes ids to keys. If the app named its cookie or header, `scope` holds that name and is hashed too, so that apps that
 * share a store do not accept each other's ids. The keys of the last ids are remembered: a browser seldom sends one request alone,
 * and between the other work of a server one SHA-256 costs as much as a read from memory.
 */
export const keyMaker = (scope: string): ((id: string) => string) => remembering(id => sha256(scope + id))
