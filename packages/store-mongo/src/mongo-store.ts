import type { EnumerableStore, StoreCall, SweepableStore } from 'koa-session-core'
import { closable, type Explaining, lastError, sweepDelay, throwIfAborted, untilAborted } from 'koa-session-core/store'
import { OwnClient } from './client.js'
import type { MongoCollection, Work } from './collection.js'
import { type SessionDocument, toDate, toRecord } from './document.js'
import { createIndexes } from './indexes.js'
import { reading, writing } from './operation.js'
import { checkedOptions, type MongoStoreOptions } from './options.js'
import { reconnecting } from './reconnecting.js'
import { clientOf, serverError } from './server-error.js'
import { write } from './write.js'

/** Number of documents that are deleted or listed together. */
const batch = 500

/** Sessions in a collection of MongoDB. */
export function mongoStore(options: MongoStoreOptions): SweepableStore & EnumerableStore {
  const { given, url, database, name } = checkedOptions(options)
  const client = given === undefined ? new OwnClient(url, database, name) : undefined
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
        // An error of another call's attempt, such as its abort, must not fail this call.
        if (isMine) throw error
      }
    }
  }

  function run<T>(call: StoreCall | undefined, work: Work<T>): Promise<T> {
    return untilAborted(call, () => {
      // The driver gives up a connection for nothing but a real signal.
      const signal = call?.signal
      return given ? reconnecting(clientOf(given), given, signal, work) : (client as OwnClient).use(signal, work)
    })
  }

  return closable<SweepableStore & EnumerableStore & Explaining>({
    name: 'mongo',

    async read(key, call) {
      const live = { _id: key, expiresAt: { $gt: Date.now() } }
      const found = await run(call, (collection, signal) => collection.findOne(live, reading(signal)))
      return found === null ? undefined : toRecord(found as SessionDocument)
    },

    async write(key, record, expected, call) {
      return run(call, async (collection, signal) => {
        await index(collection, signal)
        return write(collection, key, record, expected, signal)
      })
    },

    async touch(key, { seenAt, expiresAt }, expected, call) {
      const live = { _id: key, version: expected, expiresAt: { $gt: Date.now() } }
      const times = { $set: { seenAt, expiresAt, expires: toDate(expiresAt) } }
      const touched = await run(call, (collection, signal) => collection.updateOne(live, times, writing(signal)))
      return touched.matchedCount === 1
    },

    async destroy(key, call) {
      await run(call, (collection, signal) => collection.deleteOne({ _id: key }, writing(signal)))
    },

    async sweep(call) {
      // By the field that has an index.
      const latest = Date.now() - sweepDelay
      const expired = { expires: { $lte: new Date(latest) }, expiresAt: { $lte: latest }, ...ours }
      const page = { projection: { _id: 1 }, limit: batch }
      for (let swept = 0; ; ) {
        const found = await run(call, (collection, signal) =>
          collection.find(expired, { ...reading(signal), ...page }).toArray(),
        )
        const these = { _id: { $in: ids(found) }, ...expired }
        if (found.length === 0) return swept
        swept += (await run(call, (collection, signal) => collection.deleteMany(these, writing(signal)))).deletedCount
      }
    },

    async *keys(call = {}) {
      const { subject } = call
      // One query per page, in the order of keys: it leaves no cursor behind, and a write meanwhile moves no document.
      const page = { projection: { _id: 1 }, sort: { _id: 1 }, limit: batch }
      for (let last = ''; ; ) {
        const ofSubject = subject === undefined ? ours : { ...ours, subject }
        const live = { _id: { $gt: last }, expiresAt: { $gt: Date.now() }, ...ofSubject }
        const found = ids(
          await run(call, (collection, signal) => collection.find(live, { ...reading(signal), ...page }).toArray()),
        )
        for (const key of found) {
          yield key
          throwIfAborted(call)
          last = key
        }
        if (found.length < batch) return
      }
    },

    async close() {
      await client?.close()
    },

    [lastError]: () => (given ? serverError(clientOf(given)) : client?.lastError),
  })
}

/** Documents of other programs in the same collection have no version that is a text. */
const ours = { version: { $gte: '' } }

const ids = (found: object[]): string[] => found.map(each => (each as SessionDocument)._id)
