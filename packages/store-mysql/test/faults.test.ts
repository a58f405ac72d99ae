import { faultCases, ownServer, slowCases } from '@koa-session/store-tests'
import type { TestServer } from '@koa-session/test-servers'
import test from 'ava'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { open } from './open.js'

const server = await ownServer('mysql')
test.after.always(() => server?.end())

/** All but the one that asks. */
async function endConnections(url: string) {
  const connection = await createConnection(url)
  const [rows] = await connection.query<RowDataPacket[]>(
    'SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND user <> "system user"',
  )
  for (const { id } of rows) await connection.query(`KILL ${id}`)
  await connection.end()
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
