import { newWorld, whenAvailable, writeLoad } from '@koa-session/store-tests'
import { startRedisSentinel } from '@koa-session/test-servers'
import anyTest from 'ava'
import { Redis } from 'ioredis'
import { redisStore } from 'koa-session-store-redis'

const sentinel = await whenAvailable(() => startRedisSentinel())
const test = sentinel ? anyTest : anyTest.skip
anyTest.after.always(() => sentinel?.end())

test('a failover loses no write that had reached the replica, and the load goes on', async t => {
  const { name, servers, sentinels, master } = sentinel as NonNullable<typeof sentinel>
  const client = new Redis({ name, sentinels: sentinels.map(({ host, port }) => ({ host, port })) })
  client.on('error', () => {})
  const store = redisStore({ client, prefix: `${newWorld()}:` })

  const before = writeLoad(store)
  await before.advance(200)
  await before.stop()
  t.is(before.failed, 0)
  t.is(await client.wait(1, 60_000), 1, 'the replica has it all')

  const during = writeLoad(store)
  await during.advance(200)
  const [first, second] = servers
  await first.kill()
  while ((await master()).port !== second.port) await new Promise(resolve => setTimeout(resolve, 100))
  await during.advance(20)
  during.mark()
  await during.advance(200)
  await during.stop()

  const verify = async () => {
    await before.verify(store)
    await during.verify(store, () => true)
  }
  await verify()
  // The old master comes back as a replica: what only it had is gone, and nothing else is.
  await first.restart()
  await verify()
  client.disconnect()
})
