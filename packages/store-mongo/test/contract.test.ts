import { databaseStoreTests } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { mongoStore } from 'koa-session-store-mongo'
import { MongoClient } from 'mongodb'
import { open } from './open.js'

const server = await sharedServer('mongo')
const client = new MongoClient(server?.url ?? 'mongodb://none')
test.after.always(() => client.close())

databaseStoreTests(test, {
  server,
  open,
  create: world => mongoStore({ collection: client.db().collection(world) }),
  module: import.meta.url,
  capabilities: ['sweep', 'keys', 'shared'],
})
