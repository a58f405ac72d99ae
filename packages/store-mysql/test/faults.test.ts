import { ownServer, readmeSettings } from '@koa-session/store-tests'
import { faultTests, firewallTests } from '@koa-session/store-tests/network-tests'
import test from 'ava'
import { mysqlStore } from 'koa-session-store-mysql'
import { createConnection, createPool, type PoolOptions, type RowDataPacket } from 'mysql2/promise'
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

const readme = new URL('../README.md', import.meta.url)

/** On a pool with the settings of the README. */
function openAsInReadme(url: string, world: string) {
  const [options] = readmeSettings<[PoolOptions]>(readme, 'createPool', url)
  const pool = createPool(options)
  const store = mysqlStore({ pool, table: world })
  return {
    ...store,
    async close() {
      await store.close()
      // Says goodbye to connections that are forgotten, and waits for an answer.
      pool.end().catch(() => {})
    },
  }
}

firewallTests(test, { server, open, openAsInReadme })
