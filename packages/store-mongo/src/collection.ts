/** The part of the driver's `Collection` that the store needs. */
export interface MongoCollection {
  findOne(filter: object, options: object): Promise<object | null>
  find(filter: object, options: object): { toArray(): Promise<object[]> }
  insertOne(document: object, options: object): Promise<unknown>
  replaceOne(filter: object, document: object, options: object): Promise<{ readonly matchedCount: number }>
  updateOne(filter: object, update: object, options: object): Promise<{ readonly matchedCount: number }>
  deleteOne(filter: object, options: object): Promise<{ readonly deletedCount: number }>
  deleteMany(filter: object, options: object): Promise<{ readonly deletedCount: number }>
  createIndex(fields: Record<string, 1>, options: object): Promise<unknown>
  indexes?(options: object): Promise<object[]>
}

/** An operation on the collection. The signal ends it and closes its connection. */
export type Work<T> = (collection: MongoCollection, signal: AbortSignal | undefined) => Promise<T>
