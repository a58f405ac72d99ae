import type { SessionRecord } from 'koa-session-core'

/** A session as it lies in the collection. */
export interface SessionDocument {
  readonly _id: string
  readonly data: string
  readonly expiresAt: number
  readonly seenAt: number
  readonly version: string
  readonly subject?: string
  /** `expiresAt` once more, for the TTL index, which takes nothing but a Date. */
  readonly expires: Date
}

export function toDocument(key: string, { data, expiresAt, seenAt, version, subject }: SessionRecord): SessionDocument {
  const fields = { _id: key, data, expiresAt, seenAt, version, expires: toDate(expiresAt) }
  return subject === undefined ? fields : { ...fields, subject }
}

export function toRecord({ data, expiresAt, seenAt, version, subject }: SessionDocument): SessionRecord {
  const record = { data, expiresAt, seenAt, version }
  return subject === undefined ? record : { ...record, subject }
}

/** Not beyond the year 9999, where many programs cannot follow. */
export const toDate = (instant: number): Date => new Date(Math.min(instant, Date.UTC(9999, 11, 31)))
