import { databaseStoreTests } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { Redis } from 'ioredis'
import { redisStore } from 'koa-session-store-redis'
import { open } from './open.js'

const server = await sharedServer('redis')
const client = new Redis(server?.url ?? '', { lazyConnect: true })
test.after.always(() => client.disconnect())

databaseStoreTests(test, {
  server,
  open,
  create: world => redisStore({ client, prefix: `${world}:` }),
  module: import.meta.url,
  capabilities: ['keys', 'shared'],
})
