import { repeatedCases, whenAvailable } from '@koa-session/store-tests'
import { sharedServer, startPgbouncer } from '@koa-session/test-servers'
import test from 'ava'
import { postgresStore } from 'koa-session-store-postgres'
import pg from 'pg'

const server = await sharedServer('postgres')
const settings = { default_pool_size: 5 }
const pooler = server && (await whenAvailable(() => startPgbouncer({ postgres: server, settings })))
const pool = new pg.Pool({ connectionString: pooler?.url, max: 20 })
test.after.always(async () => {
  await pool.end()
  await pooler?.end()
})

const create = (world: string) => postgresStore({ pool, table: world })

for (const { title, run } of repeatedCases({ create, capabilities: ['sweep', 'keys', 'shared'] })) {
  const declare = pooler ? test : test.skip
  declare(`behind a transaction pooler: ${title}`, async t => {
    await t.notThrowsAsync(run())
  })
}
