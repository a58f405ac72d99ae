import { firewallCases, readmeSettings } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import anyTest from 'ava'
import { Redis } from 'ioredis'
import { redisStore } from 'koa-session-store-redis'
import { open } from './open.js'

const server = await sharedServer('redis')
const test = server ? anyTest.serial : anyTest.skip
const { url, host, port } = server ?? { url: 'redis://none', host: '', port: 0 }
const readme = new URL('../README.md', import.meta.url)

for (const { title, run } of firewallCases({ open, server: { url, host, port } })) {
  test(title, async t => {
    await t.notThrowsAsync(run())
  })
}

/** On a client with the settings of the README. */
function openOnOwn(url: string, world: string) {
  const [address, options] = readmeSettings<[string, { socketTimeout: number }]>(readme, 'new Redis', url)
  const client = new Redis(address, options)
  client.on('error', () => {})
  const store = redisStore({ client, prefix: `${world}:` })
  return {
    ...store,
    async close() {
      await store.close()
      client.disconnect()
    },
  }
}

for (const { title, run } of firewallCases({ open: openOnOwn, server: { url, host, port } })) {
  test(`with the settings of the README: ${title}`, async t => {
    await t.notThrowsAsync(run())
  })
}
