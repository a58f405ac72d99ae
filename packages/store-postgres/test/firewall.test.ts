import { firewallTests, readmeSettings } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { postgresStore } from 'koa-session-store-postgres'
import pg from 'pg'
import { open } from './open.js'

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

const server = await sharedServer('postgres')
firewallTests(test, { server, open, openAsInReadme })
