import { databaseStoreTests } from '@koa-session/store-tests/database-tests'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { mongoStore } from 'koa-session-store-mongo'
import { MongoClient } from 'mongodb'
import { open } from './open.js'

const server = await sharedServer('mongo')
const client = new MongoClient(server?.url ?? 'mongodb://none')
test.after.always(() => client.close())

async function dump(url: string, world: string): Promise<Buffer> {
  const client = await MongoClient.connect(url)
  const documents = await client.db().collection(world).find().toArray()
  await client.close()
  return Buffer.from(JSON.stringify(documents))
}

databaseStoreTests(test, {
  server,
  open,
  create: world => mongoStore({ collection: client.db().collection(world) }),
  module: import.meta.url,
  remote: 'open-on-client.js',
  dump,
  capabilities: ['sweep', 'keys', 'shared'],
})
