import { mongoStore } from 'koa-session-store-mongo'
import { MongoClient } from 'mongodb'

// One for all stores of the process: a client each would be too many connections for one server.
let client: MongoClient | undefined
let users = 0

export function open(url: string, world: string) {
  client ??= new MongoClient(url, { maxPoolSize: 10 })
  const shared = client
  users++
  const store = mongoStore({ collection: shared.db().collection(world) })
  return {
    ...store,
    async close() {
      await store.close()
      if (--users === 0) await shared.close()
    },
  }
}
