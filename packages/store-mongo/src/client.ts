import { MongoClient } from 'mongodb'

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

/** What the store needs of a collection: the driver's `Collection` has it. */
export interface MongoCollection {
  findOne(filter: object, options: object): Promise<object | null>
  find(filter: object, options: object): { toArray(): Promise<object[]> }
  insertOne(document: object, options: object): Promise<unknown>
  replaceOne(filter: object, document: object, options: object): Promise<{ readonly matchedCount: number }>
  updateOne(filter: object, update: object, options: object): Promise<{ readonly matchedCount: number }>
  deleteOne(filter: object, options: object): Promise<{ readonly deletedCount: number }>
  deleteMany(filter: object, options: object): Promise<{ readonly deletedCount: number }>
  createIndex(fields: Record<string, 1>, options: object): Promise<unknown>
}

/** A client that connects when it is first used, fails soon while the server is away, and comes back by itself. */
export function openClient(url: string): MongoClient {
  const client = new MongoClient(url, {
    connectTimeoutMS: 2_000,
    serverSelectionTimeoutMS: 5_000,
    waitQueueTimeoutMS: 5_000,
    // Also for calls without a signal: a server that takes commands and never answers would hold them for good.
    socketTimeoutMS: 10_000,
  })
  client.on('error', () => {})
  return client
}
