import { faultTests, ownServer } from '@koa-session/store-tests'
import test from 'ava'
import { Redis } from 'ioredis'
import { open } from './open.js'

const server = await ownServer('redis')
test.after.always(() => server?.end())

async function endConnections(url: string) {
  const client = new Redis(url)
  await client.call('client', 'kill', 'type', 'normal', 'skipme', 'yes')
  client.disconnect()
}

faultTests(test, { server, open, endConnections, capabilities: ['keys', 'shared'] })
