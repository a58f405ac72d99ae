import { undecodable } from './errors.js'
import type { GuardedCodec } from './guarded-codec.js'
import type { Live, Texts } from './record.js'

/** A waiting message. Its id begins with the mark of the request that queued it. */
type Message = readonly [id: string, value: unknown]

/** A message that its request has not stored yet. */
export interface Queued {
  readonly id: string
  /** The codec's text of the message. */
  readonly text: string
}

/** The most messages that wait in one session. */
const capacity = 50
/**
 * The number of taken messages that a session remembers, and for how long, in milliseconds. A commit that lost its reply is
 * repeated within that time and must not queue them again.
 */
const remembered = 100
const memory = 60_000

/** Encode a message when it is queued: a value that cannot be stored fails in that line, and later changes do not count. */
export function queuedMessage(codec: GuardedCodec, id: string, value: unknown): Queued {
  return { id, text: codec.encode([id, value] satisfies Message) }
}

/** The messages in the text of a queue. Throws ERR_SESSION_DECODE. */
export function messages(codec: GuardedCodec, flash: string): Message[] {
  if (flash === '') return []
  const all = codec.decode(flash)
  if (Array.isArray(all) && all.every(isMessage)) return all
  throw undecodable()
}

const isMessage = (value: unknown): value is Message =>
  Array.isArray(value) && value.length === 2 && typeof value[0] === 'string'

const isMarked = (id: string, mark: string): boolean => id === mark || id.startsWith(`${mark}:`)

/** The queue with `queued` appended, as text. Messages that already wait, or were taken, come from an attempt without a reply. */
export function joined(codec: GuardedCodec, { flash, taken }: Texts, queued: readonly Queued[]): string {
  if (queued.length === 0) return flash
  const waiting = messages(codec, flash)
  const known = new Set([...waiting.map(([id]) => id), ...takenIds(taken)])
  const added = queued.filter(({ id }) => !known.has(id)).map(({ text }) => codec.decode(text) as Message)
  return added.length === 0 ? flash : codec.encode([...waiting, ...added].slice(-capacity))
}

/** The messages that the request with that mark queued and that were not taken: first the stored ones. */
export function ownMessages(codec: GuardedCodec, mark: string, live: Live, queued: readonly Queued[]): Queued[] {
  let texts: Texts
  let waiting: Message[]
  try {
    texts = live.texts()
    waiting = messages(codec, texts.flash)
  } catch {
    // The session has ended already, and nothing of this request is in a queue that cannot be decoded.
    return [...queued]
  }
  const stored = waiting.filter(([id]) => isMarked(id, mark)).map(([id, value]) => queuedMessage(codec, id, value))
  const known = new Set([...stored.map(({ id }) => id), ...takenIds(texts.taken)])
  return [...stored, ...queued.filter(({ id }) => !known.has(id))]
}

/** Messages that a request claims, and the queue without them. */
export interface Claim {
  readonly values: unknown[]
  readonly flash: string
  readonly taken: string
}

/** Take all messages except those of the request with that mark. `undefined`: there are none. */
export function claim(codec: GuardedCodec, { flash, taken }: Texts, mark: string, by: string): Claim | undefined {
  const waiting = messages(codec, flash)
  const claimed = waiting.filter(([id]) => !isMarked(id, mark))
  if (claimed.length === 0) return undefined
  const own = waiting.filter(([id]) => isMarked(id, mark))
  const entry = [Date.now().toString(36), by, ...claimed.map(([id]) => id)].join(' ')
  return {
    values: claimed.map(([, value]) => value),
    flash: own.length > 0 ? codec.encode(own) : '',
    taken: recent(taken === '' ? entry : `${entry},${taken}`),
  }
}

/*
 * The ids of taken messages are text without the codec, the newest first: `<when> <by which version> <id> <id>,<when> …`.
 */
const entries = (taken: string): string[][] => (taken === '' ? [] : taken.split(',').map(entry => entry.split(' ')))

const takenIds = (taken: string): string[] => entries(taken).flatMap(([, , ...ids]) => ids)

/** Whether the write of that version, whose reply was lost, has taken its messages. */
export const wasTakenBy = (taken: string, version: string): boolean => entries(taken).some(([, by]) => by === version)

/** The entries of `taken` that are still worth remembering. */
export function recent(taken: string): string {
  if (taken === '') return ''
  const now = Date.now()
  let count = 0
  const kept = entries(taken).filter(([at = '', , ...ids]) => {
    count += ids.length
    return Math.abs(now - Number.parseInt(at, 36)) < memory && count <= remembered
  })
  return kept.map(entry => entry.join(' ')).join(',')
}
