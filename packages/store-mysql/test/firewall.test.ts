import { firewallTests, readmeSettings } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { mysqlStore } from 'koa-session-store-mysql'
import { createPool, type PoolOptions } from 'mysql2/promise'
import { open } from './open.js'

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

const server = await sharedServer('mysql')
firewallTests(test, { server, open, openAsInReadme })
