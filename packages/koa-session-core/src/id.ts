import { hash, randomBytes, randomFillSync } from 'node:crypto'

/** A session id: 256 bits from the system's CSPRNG as 43 base64url characters (RFC 4648, section 5). */
export const newId = (): string => randomBytes(32).toString('base64url')

const filled = Buffer.alloc(12)

/**
 * A name that no other state of a session has. Nothing of it is drawn ahead, because clones of a start-up snapshot or of a
 * virtual machine would go on with the same names. The clock tells clones apart whose generators are still the same.
 */
export const newVersion = (): string =>
  `${randomFillSync(filled).toString('base64url')}.${process.hrtime.bigint().toString(36)}`

/** The characters of an id. */
export const idLength = 43

export const isId = (value: unknown): value is string => typeof value === 'string' && /^[\w-]{43}$/.test(value)

export const isKey = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)

/** SHA-256 in lower-case hex: all that a store ever sees of an id or a subject. */
export const sha256 = (text: string): string => hash('sha256', text)

/**
 * How ids become keys. Where the app named its cookie or header, `scope` holds that name and is hashed too: apps that share
 * a store do not accept each other's ids.
 */
export const keyMaker = (scope: string): ((id: string) => string) => (scope === '' ? sha256 : id => sha256(scope + id))
