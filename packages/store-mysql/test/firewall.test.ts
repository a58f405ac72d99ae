import { firewallCases, readmeSettings } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import anyTest from 'ava'
import { mysqlStore } from 'koa-session-store-mysql'
import { createPool, type PoolOptions } from 'mysql2/promise'
import { open } from './open.js'

const server = await sharedServer('mysql')
const test = server ? anyTest.serial : anyTest.skip
const { url, host, port } = server ?? { url: 'mysql://none', host: '', port: 0 }
const readme = new URL('../README.md', import.meta.url)

for (const { title, run } of firewallCases({ open, server: { url, host, port } })) {
  test(title, async t => {
    await t.notThrowsAsync(run())
  })
}

/** On a pool with the settings of the README. */
function openOnOwn(url: string, world: string) {
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

for (const { title, run } of firewallCases({ open: openOnOwn, server: { url, host, port } })) {
  test(`with the settings of the README: ${title}`, async t => {
    await t.notThrowsAsync(run())
  })
}
