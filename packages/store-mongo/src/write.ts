import type { SessionRecord } from 'koa-session-core'
import type { MongoCollection } from './collection.js'
import { type SessionDocument, toDocument } from './document.js'
import { reading, writing } from './operation.js'

/** Replaces the session of version `expected`, or creates one if `expected` is `null`. `false`: another version is stored. */
export async function write(
  collection: MongoCollection,
  key: string,
  record: SessionRecord,
  expected: string | null,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  for (;;) {
    const now = Date.now()
    const isDone =
      record.expiresAt <= now
        ? await end(collection, key, expected, now, signal)
        : await put(collection, key, record, expected, now, signal)
    if (isDone) return true
    // The stored version may be this write, sent before. Or the conflicting document may be gone by now.
    const live = { _id: key, expiresAt: { $gt: Date.now() } }
    const found = await collection.findOne(live, { ...reading(signal), projection: { version: 1 } })
    const version = found === null ? null : (found as SessionDocument).version
    if (version === record.version) return true
    if (version !== expected) return false
    if (expected === null && record.expiresAt <= now) return true
  }
}

async function put(
  collection: MongoCollection,
  key: string,
  record: SessionRecord,
  expected: string | null,
  now: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const document = toDocument(key, record)
  if (expected === null) {
    try {
      await collection.insertOne(document, writing(signal))
      return true
    } catch (error) {
      if (!isDuplicateKey(error)) throw error
    }
  }
  const replaced = await collection.replaceOne(current(key, expected, now), document, writing(signal))
  return replaced.matchedCount === 1
}

/** Destroys the session of version `expected`. If that is `null`, there is nothing to destroy. */
async function end(
  collection: MongoCollection,
  key: string,
  expected: string | null,
  now: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (expected === null) return false
  return (await collection.deleteOne(current(key, expected, now), writing(signal))).deletedCount === 1
}

/** The live session of version `expected`, or what is left of an expired one. */
const current = (key: string, expected: string | null, now: number): object =>
  expected === null ? { _id: key, expiresAt: { $lte: now } } : { _id: key, version: expected, expiresAt: { $gt: now } }

const isDuplicateKey = (error: unknown): boolean => (error as { readonly code?: unknown } | null)?.code === 11_000
