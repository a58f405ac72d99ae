import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { Redis } from 'ioredis'
import { conformanceCases } from 'koa-session-core/testkit'
import { redisStore } from 'koa-session-store-redis'

const server = await sharedServer('redis')
const client = new Redis(server?.url ?? '', { lazyConnect: true })
test.after.always(() => client.disconnect())

const create = (world: string) => redisStore({ client, prefix: `${world}:` })

for (const { title, run } of conformanceCases({ create, capabilities: ['keys', 'shared'] })) {
  const declare = server ? test : test.skip
  declare(title, async t => {
    await t.notThrowsAsync(run())
  })
}
