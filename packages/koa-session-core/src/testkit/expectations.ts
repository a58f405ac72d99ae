import { fail } from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { inspect, isDeepStrictEqual } from 'node:util'
import type { EnumerableStore, SessionRecord, Store } from '../store.js'
import { newRecord } from './world.js'

const show = (value: unknown): string => inspect(value, { maxStringLength: 120, maxArrayLength: 5, breakLength: 120 })

/** `value` is exactly `wanted`, as `rule` asks. */
export function is<T>(value: T, wanted: T, rule: string): void {
  // A message costs more than a comparison: write it only if it is needed.
  if (isDeepStrictEqual(value, wanted)) return
  fail(`${rule}. Got ${show(value)}, wanted ${show(wanted)}`)
}

/** Reading `key` gives exactly `wanted`, as `rule` asks. */
export async function holds(store: Store, key: string, wanted: SessionRecord | undefined, rule: string): Promise<void> {
  const found = await store.read(key)
  if (found === undefined || wanted === undefined) return is(found, wanted, rule)
  // Compare field by field first: a message about one field helps more than two whole records.
  for (const field of ['data', 'expiresAt', 'seenAt', 'version', 'subject'] as const) {
    is(found[field], wanted[field], `${rule}: the field ${field} differs`)
  }
  is(Object.keys(found).sort(), Object.keys(wanted).sort(), `${rule}: a record has these fields and no others`)
}

/** Creates `record`. */
export async function created<T extends SessionRecord>(store: Store, key: string, record: T): Promise<T> {
  is(await store.write(key, record, null), true, 'Writing with expected null where no session lives is true')
  return record
}

/** Replaces the session of version `expected`. */
export async function replaced(
  store: Store,
  key: string,
  expected: SessionRecord,
  record = newRecord(),
): Promise<SessionRecord> {
  is(await store.write(key, record, expected.version), true, 'Writing at the stored version is true')
  return record
}

/** Stores a session that will have expired by the time this resolves. The store may still hold it. */
export async function expired(store: Store, key: string, fields: Partial<SessionRecord> = {}): Promise<SessionRecord> {
  const record = await mortal(store, key, fields)
  await until(record.expiresAt)
  return record
}

/** Stores a session that expires within moments. Its write was answered before it expired. */
export async function mortal(store: Store, key: string, fields: Partial<SessionRecord> = {}): Promise<SessionRecord> {
  for (let lead = 100; ; lead *= 2) {
    const record = await created(store, key, newRecord({ ...fields, expiresAt: Date.now() + lead }))
    if (Date.now() < record.expiresAt) return record
    await store.destroy(key)
  }
}

/** Resolves at `instant`, at that very millisecond if the machine allows it. */
export async function until(instant: number): Promise<void> {
  const early = instant - Date.now() - 3
  if (early > 0) await setTimeout(early)
  // A timer may be a few milliseconds late, but the case needs the exact instant.
  while (Date.now() < instant);
}

/** The first of `keys`, shortened: a whole list says less. */
const some = (keys: readonly unknown[]): string => {
  const shown = keys.slice(0, 3).map(key => (typeof key === 'string' ? `${key.slice(0, 20)}…` : show(key)))
  return `${shown.join(', ')}${keys.length > shown.length ? ` and ${keys.length - shown.length} more` : ''}`
}

/** `keys` yields exactly `wanted`, each once and in any order, as `rule` asks. With `subject`, of that subject. */
export async function lists(
  store: EnumerableStore,
  subject: string | undefined,
  wanted: readonly string[],
  rule: string,
): Promise<void> {
  const found: string[] = []
  for await (const key of store.keys(subject === undefined ? {} : { subject })) found.push(key)
  isList(found, wanted, rule)
}

/** `found` holds exactly `wanted`, each once and in any order, as `rule` asks. */
export function isList(found: readonly string[], wanted: readonly string[], rule: string, what = 'keys yielded'): void {
  const [foundOnes, wantedOnes] = [new Set(found), new Set(wanted)]
  if (found.length === foundOnes.size && foundOnes.size === wantedOnes.size && found.every(key => wantedOnes.has(key)))
    return
  const twice = found.filter((key, n) => found.indexOf(key) !== n)
  const missing = wanted.filter(key => !foundOnes.has(key))
  const extra = found.filter(key => !wantedOnes.has(key))
  const faults = Object.entries({ twice, missing, unexpected: extra })
    .filter(([, keys]) => keys.length > 0)
    .map(([fault, keys]) => `${fault}: ${some(keys)}`)
  fail(`${rule}. ${what} ${found.length} times, expected ${wanted.length}; ${faults.join('; ')}`)
}
