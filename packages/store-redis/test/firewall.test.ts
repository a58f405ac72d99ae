import { firewallTests, readmeSettings } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { Redis } from 'ioredis'
import { redisStore } from 'koa-session-store-redis'
import { open } from './open.js'

const readme = new URL('../README.md', import.meta.url)

/** On a client with the settings of the README. */
function openAsInReadme(url: string, world: string) {
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

const server = await sharedServer('redis')
firewallTests(test, { server, open, openAsInReadme })
