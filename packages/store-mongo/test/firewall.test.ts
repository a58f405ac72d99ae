import { firewallTests, readmeSettings } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { mongoStore } from 'koa-session-store-mongo'
import { MongoClient, type MongoClientOptions } from 'mongodb'
import { open } from './open.js'

const readme = new URL('../README.md', import.meta.url)

/** On a client with the settings of the README. */
function openAsInReadme(url: string, world: string) {
  const client = new MongoClient(...readmeSettings<[string, MongoClientOptions]>(readme, 'new MongoClient', url))
  const store = mongoStore({ collection: client.db().collection(world) })
  return {
    ...store,
    async close() {
      await store.close()
      client.close().catch(() => {})
    },
  }
}

const server = await sharedServer('mongo')
firewallTests(test, { server, open, openAsInReadme, silence: 5_500 })
