import { databaseStoreTests } from '@koa-session/store-tests/database-tests'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { Redis } from 'ioredis'
import { redisStore } from 'koa-session-store-redis'
import { open } from './open.js'

const server = await sharedServer('redis')
const client = new Redis(server?.url ?? '', { lazyConnect: true })
test.after.always(() => client.disconnect())

async function dump(url: string, world: string): Promise<Buffer> {
  const client = new Redis(url)
  const keys = await client.keys(`${world}*`)
  const values = await Promise.all(keys.map(key => client.dumpBuffer(key)))
  const texts = await Promise.all(
    keys.map(async key => (await client.type(key)) === 'string' && (await client.get(key))),
  )
  client.disconnect()
  return Buffer.concat([Buffer.from(JSON.stringify([keys, texts])), ...values.map(value => value ?? Buffer.of())])
}

databaseStoreTests(test, {
  server,
  open,
  create: world => redisStore({ client, prefix: `${world}:` }),
  module: import.meta.url,
  dump,
  capabilities: ['keys', 'shared'],
})
