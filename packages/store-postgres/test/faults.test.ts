import { ownServer, readmeSettings } from '@koa-session/store-tests'
import { faultTests, firewallTests } from '@koa-session/store-tests/network-tests'
import test from 'ava'
import { postgresStore } from 'koa-session-store-postgres'
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

faultTests(test, { server, open, endConnections, capabilities: ['sweep', 'keys', 'shared'] })

const readme = new URL('../README.md', import.meta.url)

/** On a pool with the settings of the README. */
function openAsInReadme(url: string, world: string) {
  const [options] = readmeSettings<[pg.PoolConfig]>(readme, 'new pg.Pool', url)
  const pool = new pg.Pool(options)
  pool.on('error', () => {})
  const store = postgresStore({ pool, table: world })
  return {
    ...store,
    async close() {
      await store.close()
      await pool.end()
    },
  }
}

firewallTests(test, { server, open, openAsInReadme })
