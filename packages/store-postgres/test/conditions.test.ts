import { repeatedCases, whenAvailable } from '@koa-session/store-tests'
import { sharedServer, startPgbouncer } from '@koa-session/test-servers'
import test from 'ava'
import { postgresStore } from 'koa-session-store-postgres'
import pg from 'pg'

const server = await sharedServer('postgres')
const few = { default_pool_size: 5 }
const pooler = server && (await whenAvailable(() => startPgbouncer({ postgres: server, settings: few })))
const options = '-c default_transaction_isolation=serializable'

const conditions = [
  { where: 'behind a transaction pooler', url: pooler?.url, settings: {} },
  { where: 'where transactions are serializable by default', url: server?.url, settings: { options } },
].map(({ where, url, settings }) => {
  return { where, declare: url ? test : test.skip, pool: new pg.Pool({ connectionString: url, max: 20, ...settings }) }
})
test.after.always(async () => {
  for (const { pool } of conditions) await pool.end()
  await pooler?.end()
})

for (const { where, declare, pool } of conditions) {
  const create = (world: string) => postgresStore({ pool, table: world })
  for (const { title, run } of repeatedCases({ create, capabilities: ['sweep', 'keys', 'shared'] })) {
    declare(`${where}: ${title}`, async t => {
      await t.notThrowsAsync(run())
    })
  }
}
