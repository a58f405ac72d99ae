import { ownServer, readmeSettings } from '@koa-session/store-tests'
import { faultTests, firewallTests } from '@koa-session/store-tests/network-tests'
import test from 'ava'
import { mongoStore } from 'koa-session-store-mongo'
import { MongoClient, type MongoClientOptions } from 'mongodb'
import { open } from './open.js'

const [server, durable] = await Promise.all([ownServer('mongo'), ownServer('mongo', { durable: true })])
test.after.always(() => Promise.all([server?.end(), durable?.end()]))

faultTests(test, { server, durable, open, capabilities: ['sweep', 'keys', 'shared'] })

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

firewallTests(test, { server, open, openAsInReadme, silence: 5_500 })
