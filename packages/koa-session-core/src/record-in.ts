import type { SessionRecord } from './store.js'

/**
 * The record in one text, as SQL stores select it, because a row of one value costs a driver least:
 * `expiresAt,seenAt,length of version,version and subject,data`. A version may contain commas.
 */
export function recordIn(text: string): SessionRecord {
  const first = text.indexOf(',')
  const second = text.indexOf(',', first + 1)
  const third = text.indexOf(',', second + 1)
  const versionEnd = third + 1 + Number(text.slice(second + 1, third))
  const subjectEnd = text.indexOf(',', versionEnd)
  const record = {
    data: text.slice(subjectEnd + 1),
    expiresAt: Number(text.slice(0, first)),
    seenAt: Number(text.slice(first + 1, second)),
    version: text.slice(third + 1, versionEnd),
  }
  return versionEnd === subjectEnd ? record : { ...record, subject: text.slice(versionEnd, subjectEnd) }
}
