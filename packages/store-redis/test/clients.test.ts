import { repeatedCases } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import anyTest from 'ava'
import { type RedisClient, redisStore } from 'koa-session-store-redis'
import { clientKinds } from './client-kinds.js'

const server = await sharedServer('redis')
const test = server ? anyTest : anyTest.skip
const opened = await Promise.all(
  Object.entries(clientKinds).map(async ([kind, open]) => ({ kind, opened: server && (await open(server.url)) })),
)

for (const { kind, opened: one } of opened) {
  const create = (world: string) => redisStore({ client: one?.client as RedisClient, prefix: `${world}:` })
  for (const { title, run } of repeatedCases({ create, capabilities: ['keys', 'shared'] })) {
    test(`on ${kind}: ${title}`, async t => {
      await t.notThrowsAsync(run())
    })
  }
}

anyTest.after.always('stores leave the clients of the app open', async t => {
  for (const { opened: one } of opened) {
    if (one) t.is(String(await one.ping()), 'PONG')
    await one?.end()
  }
})
