import { databaseStoreTests } from '@koa-session/store-tests/database-tests'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { postgresStore } from 'koa-session-store-postgres'
import pg from 'pg'
import { open } from './open.js'

const server = await sharedServer('postgres')
const pool = new pg.Pool({ connectionString: server?.url, max: 20 })
test.after.always(() => pool.end())

async function dump(url: string, world: string): Promise<Buffer> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query(`SELECT * FROM "${world}"`)
  await client.end()
  return Buffer.from(JSON.stringify(rows))
}

databaseStoreTests(test, {
  server,
  open,
  create: world => postgresStore({ pool, table: world }),
  module: import.meta.url,
  remote: 'open-on-pool.js',
  dump,
  capabilities: ['sweep', 'keys', 'shared'],
})
