import { faultCases, ownServer, slowCases } from '@koa-session/store-tests'
import type { TestServer } from '@koa-session/test-servers'
import test from 'ava'
import pg from 'pg'
import { open } from './open.js'

const server = await ownServer('postgres')
test.after.always(() => server?.end())

/** All but the one that asks, and whatever belongs to the server itself. */
async function endConnections(url: string) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
  )
  await client.end()
}

const cases = (server: TestServer) => [
  ...faultCases({ open, server, endConnections }),
  ...slowCases({ open, server, capabilities: ['sweep', 'keys', 'shared'] }),
]

for (const { title, run } of server ? cases(server) : []) {
  test.serial(title, async t => {
    await t.notThrowsAsync(run())
  })
}

if (!server) test.skip('faults need a server that may be broken', t => t.fail())
