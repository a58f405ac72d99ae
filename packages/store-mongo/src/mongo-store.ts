import { inspect } from 'node:util'
import type { EnumerableStore, SweepableStore } from 'koa-session-core'
import { untilAborted } from 'koa-session-core/store'
import { type MongoCollection, OwnClient } from './client.js'
import { type SessionDocument, toDate, toRecord } from './document.js'
import { createIndexes, sweepDelay } from './indexes.js'
import { reading, writing } from './operation.js'
import { write } from './write.js'

export type MongoStoreOptions =
  | {
      /** A collection of the driver. Its client stays yours: `close` leaves it open. */
      readonly collection: MongoCollection
      readonly url?: never
      readonly database?: never
    }
  | {
      /** Where the store connects by itself when it is first used: `mongodb://` or `mongodb+srv://`. */
      readonly url: string
      /**
       * Name of the database.
       * @default the one that `url` names, else 'test'
       */
      readonly database?: string
      /**
       * Name of the collection.
       * @default 'sessions'
       */
      readonly collection?: string
    }

/** Documents that are deleted, or listed, together. */
const batch = 500

/** Sessions in a collection of MongoDB. */
export function mongoStore(options: MongoStoreOptions): SweepableStore & EnumerableStore {
  const { collection: given, client } = opened(options)
  let isIndexed = false
  let indexing: Promise<void> | undefined

  /** One at a time, because a collection begins with it. */
  async function index(collection: MongoCollection, signal: AbortSignal | undefined): Promise<void> {
    while (!isIndexed) {
      const isMine = indexing === undefined
      indexing ??= createIndexes(collection, signal).finally(() => {
        indexing = undefined
      })
      try {
        await indexing
        isIndexed = true
      } catch (error) {
        // What ended another call's attempt, such as its signal, is not this one's error.
        if (isMine) throw error
      }
    }
  }

  function run<T>(signal: AbortSignal | undefined, work: (collection: MongoCollection) => Promise<T>): Promise<T> {
    return untilAborted(signal, () => (given ? work(given) : (client as OwnClient).use(work)))
  }

  return {
    name: 'mongo',

    async read(key, { signal } = {}) {
      const live = { _id: key, expiresAt: { $gt: Date.now() } }
      const found = await run(signal, collection => collection.findOne(live, reading(signal)))
      return found === null ? undefined : toRecord(found as SessionDocument)
    },

    async write(key, record, expected, { signal } = {}) {
      return run(signal, async collection => {
        await index(collection, signal)
        return write(collection, key, record, expected, signal)
      })
    },

    async touch(key, { seenAt, expiresAt }, expected, { signal } = {}) {
      const live = { _id: key, version: expected, expiresAt: { $gt: Date.now() } }
      const times = { $set: { seenAt, expiresAt, expires: toDate(expiresAt) } }
      const touched = await run(signal, collection => collection.updateOne(live, times, writing(signal)))
      return touched.matchedCount === 1
    },

    async destroy(key, { signal } = {}) {
      await run(signal, collection => collection.deleteOne({ _id: key }, writing(signal)))
    },

    async sweep({ signal } = {}) {
      // By the field that has an index.
      const expired = { expires: { $lte: new Date(Date.now() - sweepDelay) } }
      const options = { ...reading(signal), projection: { _id: 1 }, limit: batch }
      for (let swept = 0; ; ) {
        const found = await run(signal, collection => collection.find(expired, options).toArray())
        const these = { _id: { $in: ids(found) }, ...expired }
        if (found.length === 0) return swept
        swept += (await run(signal, collection => collection.deleteMany(these, writing(signal)))).deletedCount
      }
    },

    async *keys({ signal, subject } = {}) {
      // Page by page in the order of keys, each a query of its own: no cursor is left behind, and what is written
      // meanwhile stays where it is.
      const options = { ...reading(signal), projection: { _id: 1 }, sort: { _id: 1 }, limit: batch }
      for (let last = ''; ; ) {
        const live = { _id: { $gt: last }, expiresAt: { $gt: Date.now() }, ...(subject !== undefined && { subject }) }
        const found = ids(await run(signal, collection => collection.find(live, options).toArray()))
        for (const key of found) {
          yield key
          signal?.throwIfAborted()
          last = key
        }
        if (found.length < batch) return
      }
    },

    async close() {
      await client?.close()
    },
  }
}

const ids = (found: object[]): string[] => found.map(each => (each as SessionDocument)._id)

function opened(options: MongoStoreOptions) {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`mongoStore: options must be an object with collection or url, got ${inspect(options)}`)
  }
  const { url, database, collection, ...unknown } = options
  for (const [name, value] of Object.entries(unknown)) {
    throw new TypeError(`mongoStore: unknown option ${name} (collection, url, database), got ${inspect(value)}`)
  }
  if (url === undefined) {
    if (collection === undefined) {
      throw new TypeError('mongoStore: options must have either collection or url, got neither')
    }
    if (typeof collection !== 'object' || typeof collection?.findOne !== 'function') {
      throw new TypeError(
        `mongoStore: without url, collection must be a Collection of mongodb, got ${inspect(collection, { depth: 0 })}`,
      )
    }
    if (database !== undefined) {
      throw new TypeError(`mongoStore: database goes with url, a collection has its own, got ${inspect(database)}`)
    }
    return { collection, client: undefined }
  }
  if (typeof collection === 'object' && collection !== null) {
    throw new TypeError('mongoStore: options must have either collection or url, got both')
  }
  // Without the value: there may be a password in it.
  if (typeof url !== 'string' || !/^mongodb(\+srv)?:\/\//.test(url)) {
    throw new TypeError(`mongoStore: url must begin with mongodb:// or mongodb+srv://, got ${typeof url}`)
  }
  const name: unknown = collection === undefined ? 'sessions' : collection
  if (typeof name !== 'string' || !/^(?!system\.)[^$\0]+$/.test(name) || /^\.|\.$|\.\./.test(name)) {
    throw new TypeError(`mongoStore: with url, collection must be the name of one, got ${inspect(name)}`)
  }
  if (database !== undefined && !(typeof database === 'string' && /^[^/\\. "$*<>:|?\0]{1,63}$/.test(database))) {
    throw new TypeError(`mongoStore: database must be the name of one, got ${inspect(database)}`)
  }
  return { collection: undefined, client: new OwnClient(url, database, name) }
}
