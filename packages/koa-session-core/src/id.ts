import { hash, randomBytes } from 'node:crypto'

/** A session id: 256 bits from the system's CSPRNG as 43 base64url characters (RFC 4648, section 5). */
export const newId = (): string => randomBytes(32).toString('base64url')

/** A record version: 96 random bits, so that no two states of a session share a name. */
export const newVersion = (): string => randomBytes(12).toString('base64url')

export const isId = (value: unknown): value is string => typeof value === 'string' && /^[\w-]{43}$/.test(value)

export const isKey = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)

/** SHA-256 in lower-case hex: all that a store ever sees of an id or a subject. */
export const sha256 = (text: string): string => hash('sha256', text)
