import { hash, randomBytes } from 'node:crypto'

/** A session id: 256 bits from the system's CSPRNG as 43 base64url characters (RFC 4648, section 5). */
export const newId = (): string => randomBytes(32).toString('base64url')

const prefix = randomBytes(12).toString('base64url')
let count = 0

/** A name no other state of a session has: 96 random bits for this process, and a number. */
export const newVersion = (): string => `${prefix}.${(count++).toString(36)}`

export const isId = (value: unknown): value is string => typeof value === 'string' && /^[\w-]{43}$/.test(value)

export const isKey = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)

/** SHA-256 in lower-case hex: all that a store ever sees of an id or a subject. */
export const sha256 = (text: string): string => hash('sha256', text)
