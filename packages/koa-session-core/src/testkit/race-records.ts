import type { EnumerableStore, SessionRecord, Store } from '../store.js'

/** The store broke this rule. */
export class BrokenRule extends Error {}

export function must(holds: boolean, rule: string): asserts holds {
  if (!holds) throw new BrokenRule(rule)
}

const step = 'in one step of the backend, not of a process'

/** The remedy where a method broke a rule. */
export const advice = {
  write: `write must check the version and replace the record ${step}`,
  create: `write must check that no session lives and create the new one ${step}`,
  touch: `touch must check the version and move the times ${step}`,
  destroy: `destroy must delete the session at any version, and all that belongs to it, ${step}`,
  sweep: `sweep, and all else that deletes expired sessions, must check the expiry and delete ${step}`,
  index: 'an index must change with the record',
}

export const rules = {
  wins: 'A write at the stored version wins unless another one won meanwhile',
  lives: 'read resolves to the record of a session that is live all the time. It found none',
}

const life = 3_600_000
let versions = 0

/** A new record. Its data begins with `mark`, and says what else is in the record. */
export function fresh(mark: string | number, subject?: string, lifetime = life): SessionRecord {
  const expiresAt = Date.now() + lifetime
  const version = `${process.pid}.${versions++}`
  const data = `${mark} ${subject} ${version}`
  return { data, expiresAt, seenAt: expiresAt - life, version, ...(subject !== undefined && { subject }) }
}

export const timesOf = (seenAt: number) => ({ seenAt, expiresAt: seenAt + life })

export const markOf = (record: SessionRecord | undefined): string | undefined => record?.data.split(' ')[0]

/** The two subjects between which the session under `key` changes. */
export const subjectsOf = (key: string) => [`0${key.slice(1)}`, `1${key.slice(1)}`] as const

export const otherSubject = (key: string, { subject }: SessionRecord): string | undefined =>
  subjectsOf(key).find(one => one !== subject)

/** Reads a record, and requires that it is one that `fresh` made. */
export async function look(store: Store, key: string, hint: string): Promise<SessionRecord | undefined> {
  const found = await store.read(key)
  if (!found) return undefined
  const { data, version, subject, seenAt, expiresAt } = found
  const isWhole = data === `${markOf(found)} ${subject} ${version}` && expiresAt - seenAt === life
  must(isWhole, `A record has the data, version, subject and times of one write, or the times of one touch: ${hint}`)
  return found
}

/** The keys of a subject, or `undefined` if the store does not list any. */
export async function keysOf(store: Store, subject: string): Promise<string[] | undefined> {
  const { keys } = store as Partial<EnumerableStore>
  if (!keys) return undefined
  const found: string[] = []
  for await (const key of keys.call(store, { subject })) found.push(key)
  return found
}

/** Requires that the listings agree with the record, unless it changes meanwhile. Nobody else may create the session. */
export async function agrees(store: Store, key: string, hint: string): Promise<void> {
  if (!('keys' in store)) return
  const before = await look(store, key, hint)
  const times: number[] = []
  for (const subject of subjectsOf(key)) {
    const found = await keysOf(store, subject)
    times.push(found?.filter(one => one === key).length ?? 0)
  }
  const after = await look(store, key, hint)
  if (before?.version !== after?.version) return
  for (const [at, subject] of subjectsOf(key).entries()) {
    const wanted = before?.subject === subject ? 1 : 0
    const rule = before
      ? 'a live session under the subject of its record, and under no other'
      : 'no session that has ended'
    must(times[at] === wanted, `keys yields ${rule}: ${advice.index}. It yielded one ${times[at]} times, not ${wanted}`)
  }
}
