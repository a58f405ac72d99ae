import { sweepDelay } from 'koa-session-core/store'
import type { MongoCollection } from './collection.js'
import { reading, writing } from './operation.js'

/**
 * Temporary errors: the server is starting or stopping, has lost its primary, or is too busy. All other errors are refusals;
 * servers that only speak MongoDB's protocol use their own codes for them.
 */
const passing: readonly unknown[] = [
  ...[6, 7, 18, 24, 46, 50, 64, 89, 91, 112, 117, 133, 189, 262, 9_001],
  ...[10_107, 11_600, 11_601, 11_602, 13_388, 13_435, 13_436, 16_500, 50_915],
]

/** The index exists with other options or under another name. */
const existing: readonly unknown[] = [85, 86]

/** Creates missing indexes. Any number of processes may do so at once. */
export async function createIndexes(collection: MongoCollection, signal: AbortSignal | undefined): Promise<void> {
  await createIndex({ expires: 1 }, { expireAfterSeconds: sweepDelay / 1_000 })
  await createIndex({ subject: 1, _id: 1 }, {})

  async function createIndex(fields: Record<string, 1>, ofIndex: object) {
    try {
      await collection.createIndex(fields, { ...ofIndex, ...writing(signal) })
    } catch (error) {
      // No answer, or a temporary one: the next write retries.
      const { code } = error as { readonly code?: unknown }
      if (typeof code !== 'number' || passing.includes(code)) throw error
      // The store works without its indexes, only slower, so a refusal is a warning.
      if (!existing.includes(code)) {
        warnOnce(
          `the server refuses to create the index on ${Object.keys(fields).join(', ')} ` +
            `(${code === 13 ? 'the user lacks the right' : `error ${code}`}); the store works without it, see its README`,
        )
      }
    }
    // Some servers silently keep an existing index with other options.
    if ('expires' in fields) await warnOfHaste(collection, signal)
  }
}

/** A foreign index on `expires` may delete sessions that are still live by the app's clocks. */
async function warnOfHaste(collection: MongoCollection, signal: AbortSignal | undefined): Promise<void> {
  const indexes = (await collection.indexes?.(reading(signal)).catch(() => undefined)) ?? []
  for (const { key, expireAfterSeconds } of indexes as { key?: object; expireAfterSeconds?: number }[]) {
    if (!key || Object.keys(key).join() !== 'expires' || expireAfterSeconds === undefined) continue
    if (expireAfterSeconds * 1_000 >= sweepDelay) continue
    const least = sweepDelay / 1_000
    warnOnce(`the index on expires deletes sessions too early: set its expireAfterSeconds to ${least} by collMod`)
  }
}

const warned = new Set<string>()

function warnOnce(message: string): void {
  if (warned.has(message)) return
  warned.add(message)
  process.emitWarning(`mongoStore: ${message}`, { code: 'KOA_SESSION_MONGO_INDEX' })
}
