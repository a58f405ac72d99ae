import { SessionError } from './errors.js'
import { newVersion } from './id.js'
import type { ResolvedOptions } from './options.js'
import type { SessionRecord } from './store.js'

/** How long a browser keeps the cookie: `'session'` until it closes, or milliseconds since the last use. */
export type MaxAge = 'session' | number

/** How long a session that changed its id leaves a sign behind, in milliseconds. */
const tombstoneLife = 60_000

/** What is stored under a key: a session, the sign that one moved on, or something this package did not write. */
export type Stored = Live | Tombstone | Unreadable

interface Kept {
  readonly key: string
  readonly record: SessionRecord
}

export interface Live extends Kept {
  readonly kind: 'live'
  /** Epoch milliseconds from which `absoluteTimeout` counts. */
  readonly createdAt: number
  readonly maxAge: MaxAge
  /** Whether flash messages wait. */
  readonly flashWaits: boolean
  /** The data and the flash queue as the codec's texts. Throws ERR_SESSION_DECODE. */
  texts(): Texts
}

export interface Texts {
  readonly data: string
  /** `''` when no message waits. */
  readonly flash: string
}

export interface Tombstone extends Kept {
  readonly kind: 'tombstone'
  /** The key the session lives on under. */
  readonly successor: string
  /** Whether `regenerate` left it, so that the successor is somebody's fresh login. */
  readonly login: boolean
}

export interface Unreadable extends Kept {
  readonly kind: 'unreadable'
}

export interface LiveParts extends Texts {
  readonly key: string
  readonly createdAt: number
  readonly maxAge: MaxAge
  readonly subject: string | undefined
}

/** When a session used now ends: the idle or the absolute limit, whichever comes first. */
export function expiry(options: ResolvedOptions, now: number, createdAt: number, maxAge: MaxAge): number {
  const { idleTimeout, absoluteTimeout } = options
  if (maxAge === 'session') return Math.min(now + idleTimeout, createdAt + absoluteTimeout)
  return Math.min(now + maxAge, createdAt + Math.max(absoluteTimeout, maxAge))
}

/*
 * `data` of a record is one line in clear and the body after it:
 *
 *   1;<createdAt>;<maxAge>;<0 or 1: flash waits>       body: the data's text, or <length>:<flash's text><data's text>
 *   0;<successor's key>;<login or rotation>            no body: a tombstone
 *
 * The line is what a request needs that never opens its session. With `encryptionKeys` the body is sealed, and the
 * line and the key are bound to it.
 */
const liveLine = /^1;(\d{1,16});(session|\d{1,16});([01])$/
const tombstoneLine = /^0;([0-9a-f]{64});(login|rotation)$/

export function toStored(options: ResolvedOptions, key: string, record: SessionRecord): Stored {
  // A foreign record may have no data at all.
  if (typeof record.data !== 'string') return { kind: 'unreadable', key, record }
  const end = record.data.indexOf('\n')
  const line = end < 0 ? record.data : record.data.slice(0, end)
  const live = liveLine.exec(line)
  if (live) {
    const flashWaits = live[3] === '1'
    let texts: Texts | undefined
    return {
      kind: 'live',
      key,
      record,
      createdAt: Number(live[1]),
      maxAge: live[2] === 'session' ? 'session' : Number(live[2]),
      flashWaits,
      texts: () => (texts ??= split(options.seal.open(record.data.slice(end + 1), key + line), flashWaits)),
    }
  }
  const tombstone = tombstoneLine.exec(line)
  if (tombstone) {
    return { kind: 'tombstone', key, record, successor: tombstone[1] as string, login: tombstone[2] === 'login' }
  }
  return { kind: 'unreadable', key, record }
}

function split(body: string, flashWaits: boolean): Texts {
  if (!flashWaits) return { data: body, flash: '' }
  const colon = body.indexOf(':')
  const length = Number(body.slice(0, colon))
  if (!/^\d{1,9}$/.test(body.slice(0, colon)) || colon + 1 + length > body.length) throw undecodable()
  return { flash: body.slice(colon + 1, colon + 1 + length), data: body.slice(colon + 1 + length) }
}

/** The next state of a session, used now, under a new version. */
export function live(options: ResolvedOptions, parts: LiveParts): Live {
  const { key, createdAt, maxAge, subject, data, flash } = parts
  const flashWaits = flash !== ''
  const line = `1;${createdAt};${maxAge};${flashWaits ? 1 : 0}`
  const text = `${line}\n${options.seal.seal(flashWaits ? `${flash.length}:${flash}${data}` : data, key + line)}`
  if (text.includes('\0')) throw new SessionError('ERR_SESSION_ENCODE', 'the codec produced a NUL character')
  const bytes = Buffer.byteLength(text)
  if (bytes > options.maxBytes) {
    const message = `the encoded session has ${bytes} bytes, more than maxBytes (${options.maxBytes}) allows`
    throw new SessionError('ERR_SESSION_TOO_LARGE', message)
  }
  const now = Date.now()
  const record = {
    data: text,
    expiresAt: expiry(options, now, createdAt, maxAge),
    seenAt: now,
    version: newVersion(),
    ...(subject !== undefined && { subject }),
  }
  return { kind: 'live', key, record, createdAt, maxAge, flashWaits, texts: () => ({ data, flash }) }
}

/** What a session leaves when it goes on under another id. It carries no data and no subject. */
export function tombstone(key: string, successor: string, login: boolean): Tombstone {
  const now = Date.now()
  const data = `0;${successor};${login ? 'login' : 'rotation'}`
  const record = { data, expiresAt: now + tombstoneLife, seenAt: now, version: newVersion() }
  return { kind: 'tombstone', key, record, successor, login }
}

/** A record that is over as it is written: it leaves nothing to read. */
export function ended(key: string): Unreadable {
  const now = Date.now()
  return { kind: 'unreadable', key, record: { data: '', expiresAt: now, seenAt: now, version: newVersion() } }
}

/** Carries nothing of its cause: `JSON.parse` quotes the text it could not read. */
export function undecodable(): SessionError {
  return new SessionError('ERR_SESSION_DECODE', 'a stored session could not be decoded')
}
