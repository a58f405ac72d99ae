import { firewallCases, readmeSettings } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import anyTest from 'ava'
import { postgresStore } from 'koa-session-store-postgres'
import pg from 'pg'
import { open } from './open.js'

const server = await sharedServer('postgres')
const test = server ? anyTest.serial : anyTest.skip
const { url, host, port } = server ?? { url: 'postgres://none', host: '', port: 0 }
const readme = new URL('../README.md', import.meta.url)

for (const { title, run } of firewallCases({ open, server: { url, host, port } })) {
  test(title, async t => {
    await t.notThrowsAsync(run())
  })
}

/** On a pool with the settings of the README. */
function openOnOwn(url: string, world: string) {
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

for (const { title, run } of firewallCases({ open: openOnOwn, server: { url, host, port } })) {
  test(`with the settings of the README: ${title}`, async t => {
    await t.notThrowsAsync(run())
  })
}
