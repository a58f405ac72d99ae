import type { MongoCollection } from './client.js'
import { reading, writing } from './operation.js'

/** How long after its expiry a session stays, in milliseconds: one fast clock must not sign everybody out. */
export const sweepDelay = 3_600_000

/** Unauthorized; the index is there with other options, or under another name. */
const tolerated: readonly unknown[] = [13, 85, 86]

/** Makes the indexes that are not there. Any number of processes may do so at once. */
export async function createIndexes(collection: MongoCollection, signal: AbortSignal | undefined): Promise<void> {
  await createIndex({ expires: 1 }, { expireAfterSeconds: sweepDelay / 1_000 })
  await createIndex({ subject: 1, _id: 1 }, {})

  async function createIndex(fields: Record<string, 1>, ofIndex: object) {
    try {
      await collection.createIndex(fields, { ...ofIndex, ...writing(signal) })
    } catch (error) {
      // Indexes make the store fast and small; whoever keeps them from it has their reasons.
      const { code } = error as { readonly code?: unknown }
      if (!tolerated.includes(code)) throw error
      if (code === 13) {
        warnOnce(`no right to create the index on ${Object.keys(fields).join(', ')}; see the README for what it does`)
      } else if ('expires' in fields) await warnOfHaste(collection, signal)
    }
  }
}

/** An index on `expires` that somebody else made may delete sessions that live by the clocks of the app. */
async function warnOfHaste(collection: MongoCollection, signal: AbortSignal | undefined): Promise<void> {
  const indexes = (await collection.indexes?.(reading(signal)).catch(() => undefined)) ?? []
  for (const { key, expireAfterSeconds } of indexes as { key?: object; expireAfterSeconds?: number }[]) {
    if (!key || Object.keys(key).join() !== 'expires' || expireAfterSeconds === undefined) continue
    if (expireAfterSeconds * 1_000 >= sweepDelay) continue
    const least = sweepDelay / 1_000
    warnOnce(`the index on expires deletes sessions too early; give it expireAfterSeconds: ${least} by collMod`)
  }
}

const warned = new Set<string>()

function warnOnce(message: string): void {
  if (warned.has(message)) return
  warned.add(message)
  process.emitWarning(`mongoStore: ${message}`, { code: 'KOA_SESSION_MONGO_INDEX' })
}
