import { ownServer, readmeSettings } from '@koa-session/store-tests'
import { faultTests, firewallTests } from '@koa-session/store-tests/network-tests'
import test from 'ava'
import { Redis } from 'ioredis'
import { redisStore } from 'koa-session-store-redis'
import { open } from './open.js'

const server = await ownServer('redis')
test.after.always(() => server?.end())

async function endConnections(url: string) {
  const client = new Redis(url)
  await client.call('client', 'kill', 'type', 'normal', 'skipme', 'yes')
  client.disconnect()
}

faultTests(test, { server, open, endConnections, capabilities: ['keys', 'shared'] })

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

firewallTests(test, { server, open, openAsInReadme })
