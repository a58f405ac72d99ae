import { faultTests, ownServer } from '@koa-session/store-tests'
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

faultTests(test, { server, open, endConnections, capabilities: ['sweep', 'keys', 'shared'] })
