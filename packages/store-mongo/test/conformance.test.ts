import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { conformanceCases } from 'koa-session-core/testkit'
import { mongoStore } from 'koa-session-store-mongo'
import { MongoClient } from 'mongodb'

const server = await sharedServer('mongo')
const client = new MongoClient(server?.url ?? 'mongodb://none')
test.after.always(() => client.close())

const create = (world: string) => mongoStore({ collection: client.db().collection(world) })

for (const { title, run } of conformanceCases({ create, capabilities: ['sweep', 'keys', 'shared'] })) {
  const declare = server ? test : test.skip
  declare(title, async t => {
    await t.notThrowsAsync(run())
  })
}
