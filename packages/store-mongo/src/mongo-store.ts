import { inspect } from 'node:util'
import type { EnumerableStore, SessionRecord, SweepableStore } from 'koa-session-core'
import { type MongoCollection, openClient, type SessionDocument } from './client.js'
import { createIndexes } from './indexes.js'
import { untilAborted } from './until-aborted.js'

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

/** Whatever the collection was opened with: what a replica reads may be old, and what no journal holds may be lost. */
const reading = { readPreference: 'primary', raw: false, promoteValues: true }
const writing = { writeConcern: { w: 'majority', journal: true } }

/** Sessions in a collection of MongoDB. */
export function mongoStore(options: MongoStoreOptions): SweepableStore & EnumerableStore {
  const { collection, client } = opened(options)
  let isIndexed = false
  let closing: Promise<void> | undefined

  /** What a call passes to the driver. With a signal the driver gives up its connection rather than wait. */
  const withSignal = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal })

  /** The live session under `key`, as far as a condition asks for it. */
  async function stored(key: string, signal: AbortSignal | undefined): Promise<string | null> {
    const found = await collection.findOne(
      { _id: key, expiresAt: { $gt: Date.now() } },
      { ...reading, ...withSignal(signal), projection: { version: 1 } },
    )
    return found === null ? null : (found as SessionDocument).version
  }

  /** Replaces or ends the session of version `expected`, or creates one: `false` when it is not as expected. */
  async function replace(key: string, record: SessionRecord, expected: string | null, signal?: AbortSignal) {
    const now = Date.now()
    const options = { ...writing, ...withSignal(signal) }
    const isEnd = record.expiresAt <= now
    if (expected === null) {
      if (isEnd) return (await stored(key, signal)) === null
      try {
        await collection.insertOne(document(key, record), options)
        return true
      } catch (error) {
        if (!isDuplicateKey(error)) throw error
      }
    }
    const current =
      expected === null
        ? { _id: key, expiresAt: { $lte: now } }
        : { _id: key, version: expected, expiresAt: { $gt: now } }
    if (isEnd) return (await collection.deleteOne(current, options)).deletedCount === 1
    return (await collection.replaceOne(current, document(key, record), options)).matchedCount === 1
  }

  async function write(key: string, record: SessionRecord, expected: string | null, signal?: AbortSignal) {
    if (!isIndexed) {
      await createIndexes(collection, withSignal(signal))
      isIndexed = true
    }
    for (;;) {
      if (await replace(key, record, expected, signal)) return true
      // It may be this very write, sent before. And what stood in its way may be gone by now.
      const version = await stored(key, signal)
      if (version === record.version) return true
      if (version !== expected) return false
    }
  }

  return {
    name: 'mongo',

    async read(key, { signal } = {}) {
      const filter = { _id: key, expiresAt: { $gt: Date.now() } }
      const options = { ...reading, ...withSignal(signal) }
      const found = await untilAborted(signal, () => collection.findOne(filter, options))
      if (found === null) return undefined
      const { data, expiresAt, seenAt, version, subject } = found as SessionDocument
      const record = { data, expiresAt, seenAt, version }
      return subject === undefined ? record : { ...record, subject }
    },

    async write(key, record, expected, { signal } = {}) {
      return untilAborted(signal, () => write(key, record, expected, signal))
    },

    async touch(key, { seenAt, expiresAt }, expected, { signal } = {}) {
      const filter = { _id: key, version: expected, expiresAt: { $gt: Date.now() } }
      const update = { $set: { seenAt, expiresAt, expires: dateOf(expiresAt) } }
      const options = { ...writing, ...withSignal(signal) }
      const { matchedCount } = await untilAborted(signal, () => collection.updateOne(filter, update, options))
      return matchedCount === 1
    },

    async destroy(key, { signal } = {}) {
      const options = { ...writing, ...withSignal(signal) }
      await untilAborted(signal, () => collection.deleteOne({ _id: key }, options))
    },

    async sweep({ signal } = {}) {
      // By the field that has an index.
      const expired = { expires: { $lte: new Date() } }
      const some = { ...reading, ...withSignal(signal), projection: { _id: 1 }, limit: batch }
      for (let swept = 0; ; ) {
        const found = await untilAborted(signal, () => collection.find(expired, some).toArray())
        if (found.length === 0) return swept
        const filter = { _id: { $in: ids(found) }, ...expired }
        const options = { ...writing, ...withSignal(signal) }
        swept += (await untilAborted(signal, () => collection.deleteMany(filter, options))).deletedCount
      }
    },

    async *keys({ signal, subject } = {}) {
      // Page by page in the order of keys, each a query of its own: no cursor is left behind, and what is written
      // meanwhile stays where it is.
      const options = { ...reading, ...withSignal(signal), projection: { _id: 1 }, sort: { _id: 1 }, limit: batch }
      for (let last = ''; ; ) {
        const live = { _id: { $gt: last }, expiresAt: { $gt: Date.now() }, ...(subject !== undefined && { subject }) }
        const found = ids(await untilAborted(signal, () => collection.find(live, options).toArray()))
        for (const key of found) {
          yield key
          signal?.throwIfAborted()
        }
        if (found.length < batch) return
        last = found.at(-1) as string
      }
    },

    close() {
      closing ??= client === undefined ? Promise.resolve() : client.close()
      return closing
    },
  }
}

function document(key: string, { data, expiresAt, seenAt, version, subject }: SessionRecord): SessionDocument {
  const fields = { _id: key, data, expiresAt, seenAt, version, expires: dateOf(expiresAt) }
  return subject === undefined ? fields : { ...fields, subject }
}

/** Not beyond the year 9999, where many programs cannot follow. */
const dateOf = (instant: number): Date => new Date(Math.min(instant, Date.UTC(9999, 11, 31)))

const ids = (found: object[]): string[] => found.map(each => (each as SessionDocument)._id)

const isDuplicateKey = (error: unknown): boolean =>
  error instanceof Error && (error as { readonly code?: unknown }).code === 11_000

function opened(options: MongoStoreOptions) {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`mongoStore: options must be an object with collection or url, got ${inspect(options)}`)
  }
  const { url, database, collection, ...unknown } = options
  for (const [name, value] of Object.entries(unknown)) {
    throw new TypeError(`mongoStore: unknown option ${name} (collection, url, database), got ${inspect(value)}`)
  }
  if (url === undefined) {
    if (typeof collection !== 'object' || typeof collection?.findOne !== 'function') {
      throw new TypeError(`mongoStore: without url, collection must be one of the driver, got ${inspect(collection)}`)
    }
    if (database !== undefined) {
      throw new TypeError(`mongoStore: database goes with url, a collection has its own, got ${inspect(database)}`)
    }
    return { collection, client: undefined }
  }
  // Without the value: there may be a password in it.
  if (typeof url !== 'string' || !/^mongodb(\+srv)?:\/\//.test(url)) {
    throw new TypeError(`mongoStore: url must begin with mongodb:// or mongodb+srv://, got ${typeof url}`)
  }
  const name = collection ?? 'sessions'
  if (typeof name !== 'string' || !/^(?!system\.)[^$\0]+$/.test(name) || /^\.|\.$|\.\./.test(name)) {
    throw new TypeError(`mongoStore: with url, collection must be the name of one, got ${inspect(name, { depth: 0 })}`)
  }
  if (database !== undefined && !(typeof database === 'string' && /^[^/\\. "$*<>:|?\0]+$/.test(database))) {
    throw new TypeError(`mongoStore: database must be the name of one, got ${inspect(database)}`)
  }
  const client = openClient(url)
  return { collection: client.db(database).collection(name) as MongoCollection, client }
}
