import { secretsFound } from '@koa-session/behaviour'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { MongoClient } from 'mongodb'
import { open } from './open.js'

const server = await sharedServer('mongo')
const world = 'dumped'

async function dump(url: string): Promise<Buffer> {
  const client = await MongoClient.connect(url)
  const documents = await client.db().collection(world).find().toArray()
  await client.close()
  return Buffer.from(JSON.stringify(documents))
}

const declare = server ? test : test.skip
declare('a dump taken while users are signed in contains neither an id nor a subject, in any encoding', async t => {
  const { url = '' } = server ?? {}
  const store = open(url, world)
  t.deepEqual(await secretsFound(store, () => dump(url)), [])
  await store.close()
})
