import type { SessionRecord } from 'koa-session-core'

/*
 * A record is one string: `s1`, expiresAt, seenAt and version; for a session with a subject also that subject, the session's
 * listing in the index and until when it is listed; a line break, and the data.
 */

const header = /^s1 (\S+) (\S+) ((?:[^\s%]|%[0-7][0-9A-F])*)(?: (\S+) \S+ \S+)?\n/

/** In place of a value of another program. The core cannot decode it. */
export const foreign: SessionRecord = { data: '', expiresAt: Number.MAX_SAFE_INTEGER, seenAt: 0, version: '' }

/** The text of a record. If it is not `listed` yet, the server adds the listing that is stored. */
export function encode(record: SessionRecord, listed?: readonly [listing: string, until: number]): string {
  const { data, expiresAt, seenAt, version, subject } = record
  const place = listed ? ` ${listed[0]} ${listed[1]}` : ''
  const whose = subject ? ` ${subject}${place}` : ''
  return `s1 ${expiresAt} ${seenAt} ${encodeVersion(version)}${whose}\n${data}`
}

/** A version without spaces and line breaks. */
export const encodeVersion = (version: string): string => encodeURIComponent(version)

/** The record in `text`, unless it has expired. */
export function decode(text: string): SessionRecord | undefined {
  const found = header.exec(text)
  const [whole = '', expiresAt, seenAt, version = '', subject] = found ?? []
  if (Number.isNaN(Number(expiresAt))) return foreign
  return alive(text.slice(whole.length), expiresAt, seenAt, decodeURIComponent(version), subject)
}

/** The record in the fields of the first layout, a hash, unless it has expired. */
export function decodeHash([expiresAt, data, seenAt, version, subject]: (string | null)[]): SessionRecord | undefined {
  return alive(data as string, expiresAt, seenAt, version as string, subject)
}

function alive(
  data: string,
  expiresAt: string | null | undefined,
  seenAt: string | null | undefined,
  version: string,
  subject: string | null | undefined,
): SessionRecord | undefined {
  const record = { data, expiresAt: Number(expiresAt), seenAt: Number(seenAt), version }
  if (!(record.expiresAt > Date.now())) return undefined
  return subject ? { ...record, subject } : record
}
