import { firewallCases, readmeSettings } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import anyTest from 'ava'
import { mongoStore } from 'koa-session-store-mongo'
import { MongoClient, type MongoClientOptions } from 'mongodb'
import { open } from './open.js'

const server = await sharedServer('mongo')
const test = server ? anyTest : anyTest.skip
const { url, host, port } = server ?? { url: 'mongodb://none', host: '', port: 0 }
const readme = new URL('../README.md', import.meta.url)

for (const { title, run } of firewallCases({ open, server: { url, host, port } })) {
  test(title, async t => {
    await t.notThrowsAsync(run())
  })
}

/** On a client with the settings of the README. */
function openOnOwn(url: string, world: string) {
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

for (const { title, run } of firewallCases({ open: openOnOwn, server: { url, host, port }, silence: 5_500 })) {
  test(`with the settings of the README: ${title}`, async t => {
    await t.notThrowsAsync(run())
  })
}
