import { databaseStoreTests } from '@koa-session/store-tests/database-tests'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { mysqlStore } from 'koa-session-store-mysql'
import { createConnection, createPool } from 'mysql2/promise'
import { open } from './open.js'

const server = await sharedServer('mysql')
const pool = createPool({ uri: server?.url ?? 'mysql://localhost', connectionLimit: 20 })
test.after.always(() => pool.end())

async function dump(url: string, world: string): Promise<Buffer> {
  const connection = await createConnection(url)
  const [rows] = await connection.query(`SELECT * FROM \`${world}\``)
  await connection.end()
  const cells = (rows as Record<string, unknown>[]).flatMap(Object.values)
  return Buffer.concat(cells.map(cell => (cell instanceof Buffer ? cell : Buffer.from(String(cell)))))
}

databaseStoreTests(test, {
  server,
  open,
  create: world => mysqlStore({ pool, table: world }),
  module: import.meta.url,
  remote: 'open-on-pool.js',
  dump,
  capabilities: ['sweep', 'keys', 'shared'],
})
