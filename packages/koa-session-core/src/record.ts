import type { Seal } from './encryption.js'
import { SessionError, undecodable } from './errors.js'
import { newVersion } from './id.js'
import type { SessionRecord } from './store.js'

/** How long a browser keeps the cookie: `'session'` until it closes, or milliseconds since the last use. */
export type MaxAge = 'session' | number

/** Lifetime of the tombstone of a session that changed its id, in milliseconds. */
const tombstoneLife = 60_000

/** The record under a key: a session, the sign that one moved on, or something this package did not write. */
export type Stored = Live | Tombstone | Over | Unreadable

/** The record under a key as far as a process knows. `null`: none. `undefined`: it has to be read. */
export type State = Stored | null | undefined

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
  /** Whether it was stored last to go on with another one, of the same `createdAt`, under a new id. For a moment both live. */
  readonly isCopy: boolean
  /** The data and the flash queue as texts. Throws ERR_SESSION_DECODE. */
  texts(): Texts
}

export interface Texts {
  readonly data: string
  /** The waiting flash messages, as the codec's text; `''` if there are none. */
  readonly flash: string
  /** The flash messages that were taken a short while ago, as `flash.ts` writes them; `''` when there are none. */
  readonly taken: string
}

export interface Tombstone extends Kept {
  readonly kind: 'tombstone'
  /** The key of the successor. */
  readonly successor: string
  /** Whether `regenerate` left it, so that the successor is somebody's fresh login. */
  readonly login: boolean
  readonly reason: Reason
  /** When the session before was created, as long as `regenerate` has stored nothing in its place. */
  readonly createdAt: number
}

/**
 * Why a session continues under another id: `rotateId`, another subject, or a login by `regenerate`. A login is confirmed once
 * its session is stored: if the session is missing after that, it was destroyed. If all sessions of the old subject were
 * destroyed meanwhile, only a session of another subject, or of none, can be stored in its place.
 */
export type Reason = 'rotation' | 'subject' | 'login' | 'confirmed' | 'revoked'

/** A session that has lived longer than today's options allow. */
export interface Over extends Omit<Live, 'kind'> {
  readonly kind: 'over'
}

export interface Unreadable extends Kept {
  readonly kind: 'unreadable'
}

export interface LiveParts extends Texts {
  readonly key: string
  readonly createdAt: number
  readonly maxAge: MaxAge
  readonly subject: string | undefined
  /** @default false */
  readonly isCopy?: boolean
}

/** How long sessions live, in milliseconds. */
export interface Terms {
  readonly idleTimeout: number
  readonly absoluteTimeout: number
}

export interface RecordSettings extends Terms {
  readonly seal: Seal
  /** The most bytes of one encoded session. */
  readonly maxBytes: number
}

/** The most milliseconds that a session lives. */
function term({ absoluteTimeout }: Terms, maxAge: MaxAge): number {
  return maxAge === 'session' ? absoluteTimeout : Math.max(absoluteTimeout, maxAge)
}

/** When a session used now ends: the idle or the absolute limit, whichever comes first. */
export function expiry(terms: Terms, now: number, createdAt: number, maxAge: MaxAge): number {
  const idle = maxAge === 'session' ? terms.idleTimeout : maxAge
  return Math.min(now + idle, Math.min(createdAt, now) + term(terms, maxAge))
}

/** Whether the absolute limit of such a session has passed. */
export const isOver = (terms: Terms, now: number, createdAt: number, maxAge: MaxAge): boolean =>
  createdAt + term(terms, maxAge) <= now

/** Whether the absolute limit of a session that was live when it was read has passed. */
export const isPast = (terms: Terms, { createdAt, maxAge }: Live): boolean =>
  isOver(terms, Date.now(), createdAt, maxAge)

export const isLive = (state: State): state is Live => state?.kind === 'live'

/*
 * `data` of a record is one line in clear and the body after it:
 *
 *   1;<createdAt>;<maxAge>;<flags>                     body: [<length>:<queue>]<data's text>
 *   0;<successor's key>;<reason>[;<createdAt>]         no body: a tombstone
 *
 * `flags` is the sum of 1: flash messages wait, 2: some were taken a short while ago, and 4: the session goes on with another one
 * under a new id. With 1 or 2 the body begins with a queue: the taken ones, the waiting ones, or both with a line feed between. The
 * line is what a request needs that never opens its session. With `encryptionKeys` the body is sealed, and the line and the key
 * are bound to it.
 */
const liveLine = /^1;(\d{1,16});(session|\d{1,16});([0-7])$/
const tombstoneLine = /^0;([0-9a-f]{64});(rotation|subject|login|confirmed|revoked)(?:;(\d{1,16}))?$/
const waits = 1
const wereTaken = 2
const isCopied = 4

export function toStored(settings: RecordSettings, key: string, record: SessionRecord): Stored {
  // A foreign record may have no data at all.
  if (typeof record.data !== 'string') return { kind: 'unreadable', key, record }
  const end = record.data.indexOf('\n')
  const line = end < 0 ? record.data : record.data.slice(0, end)
  const live = liveLine.exec(line)
  if (live) {
    const createdAt = Number(live[1])
    const maxAge = live[2] === 'session' ? 'session' : Number(live[2])
    const flags = Number(live[3])
    let texts: Texts | undefined
    return {
      kind: isOver(settings, Date.now(), createdAt, maxAge) ? 'over' : 'live',
      key,
      record,
      createdAt,
      maxAge,
      flashWaits: (flags & waits) !== 0,
      isCopy: (flags & isCopied) !== 0,
      texts: () => (texts ??= split(settings.seal.open(record.data.slice(end + 1), key + line), flags & ~isCopied)),
    }
  }
  const [, successor, reason, createdAt = 0] = tombstoneLine.exec(line) ?? []
  if (successor !== undefined) return tombstoneOf(key, record, successor, reason as Reason, Number(createdAt))
  return { kind: 'unreadable', key, record }
}

function split(body: string, flags: number): Texts {
  if (flags === 0) return { data: body, flash: '', taken: '' }
  const colon = body.indexOf(':')
  const length = Number(body.slice(0, colon))
  const queue = body.slice(colon + 1, colon + 1 + length)
  if (!/^\d{1,9}$/.test(body.slice(0, colon)) || queue.length < length) throw undecodable()
  const data = body.slice(colon + 1 + length)
  if (flags === waits) return { data, flash: queue, taken: '' }
  if (flags === wereTaken) return { data, flash: '', taken: queue }
  const feed = queue.indexOf('\n')
  if (feed < 0) throw undecodable()
  return { data, flash: queue.slice(feed + 1), taken: queue.slice(0, feed) }
}

/** The next state of a session, used now, under a new version. */
export function live(settings: RecordSettings, parts: LiveParts, version = newVersion()): Live {
  const { key, maxAge, subject, data, flash, taken, isCopy = false } = parts
  const now = Date.now()
  // A clock that was ahead must not make a session live longer.
  const createdAt = Math.min(parts.createdAt, now)
  const flags = (flash === '' ? 0 : waits) + (taken === '' ? 0 : wereTaken)
  const line = `1;${createdAt};${maxAge};${flags + (isCopy ? isCopied : 0)}`
  const queue = flags === waits + wereTaken ? `${taken}\n${flash}` : taken + flash
  const text = `${line}\n${settings.seal.seal(flags === 0 ? data : `${queue.length}:${queue}${data}`, key + line)}`
  // A character takes three bytes at most.
  const bytes = 3 * text.length <= settings.maxBytes ? 0 : Buffer.byteLength(text)
  if (bytes > settings.maxBytes) {
    const message = `the encoded session has ${bytes} bytes, more than maxBytes (${settings.maxBytes}) allows`
    throw new SessionError('ERR_SESSION_TOO_LARGE', message)
  }
  const record = {
    data: text,
    expiresAt: expiry(settings, now, createdAt, maxAge),
    seenAt: now,
    version,
    ...(subject !== undefined && { subject }),
  }
  return {
    kind: 'live',
    key,
    record,
    createdAt,
    maxAge,
    flashWaits: flash !== '',
    isCopy,
    texts: () => ({ data, flash, taken }),
  }
}

/**
 * The sign that a session leaves when it goes on under another id. It carries no data, and no subject unless the session that is to
 * take its place is still to be stored: `revokeAll` has to find it then.
 */
export function tombstone(key: string, successor: string, reason: Reason, before?: Stored): Tombstone {
  const now = Date.now()
  const subject = before?.record.subject
  const createdAt = subject !== undefined && before && 'createdAt' in before ? before.createdAt : 0
  const data = `0;${successor};${reason}${createdAt > 0 ? `;${createdAt}` : ''}`
  const times = { expiresAt: now + tombstoneLife, seenAt: now }
  const record = { data, ...times, version: newVersion(), ...(subject !== undefined && { subject }) }
  return tombstoneOf(key, record, successor, reason, createdAt)
}

function tombstoneOf(
  key: string,
  record: SessionRecord,
  successor: string,
  reason: Reason,
  createdAt: number,
): Tombstone {
  const login = reason !== 'rotation' && reason !== 'subject'
  return { kind: 'tombstone', key, record, successor, reason, login, createdAt }
}

/** A record that is over as it is written: it leaves nothing to read. */
export function ended(key: string): Unreadable {
  // By every clock.
  return { kind: 'unreadable', key, record: { data: '', expiresAt: 0, seenAt: Date.now(), version: newVersion() } }
}
