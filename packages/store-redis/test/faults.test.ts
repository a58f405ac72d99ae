import { faultCases, ownServer, slowCases } from '@koa-session/store-tests'
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

if (server) {
  const slow = slowCases({ open, server, capabilities: ['keys', 'shared'] })
  for (const { title, run } of [...faultCases({ open, server, endConnections }), ...slow]) {
    test.serial(title, async t => {
      await t.notThrowsAsync(run())
    })
  }
} else {
  test.skip('what a broken Redis must not change', t => t.fail())
}
