import type { MongoCollection } from './client.js'
import { writing } from './operation.js'

/** Unauthorized; the index is there with other options, or under another name. */
const tolerated: readonly unknown[] = [13, 85, 86]

/** Makes the indexes that are not there. Any number of processes may do so at once. */
export async function createIndexes(collection: MongoCollection, signal: AbortSignal | undefined): Promise<void> {
  await createIndex({ expires: 1 }, { expireAfterSeconds: 3_600 })
  await createIndex({ subject: 1, _id: 1 }, {})

  async function createIndex(fields: Record<string, 1>, ofIndex: object) {
    try {
      await collection.createIndex(fields, { ...ofIndex, ...writing(signal) })
    } catch (error) {
      // Indexes make the store fast and small; whoever keeps them from it has their reasons.
      const { code } = error as { readonly code?: unknown }
      if (!tolerated.includes(code)) throw error
      if (code === 13) warnOnce(Object.keys(fields).join(', '))
    }
  }
}

const warned = new Set<string>()

function warnOnce(fields: string): void {
  if (warned.has(fields)) return
  warned.add(fields)
  const message = `mongoStore: no right to create the index on ${fields}; see the README for what it does`
  process.emitWarning(message, { code: 'KOA_SESSION_MONGO_INDEX' })
}
