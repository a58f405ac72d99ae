import { repeatedCases } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { postgresStore } from 'koa-session-store-postgres'
import pg from 'pg'

const server = await sharedServer('postgres')
const options = '-c default_transaction_isolation=serializable'
const pool = new pg.Pool({ connectionString: server?.url, options, max: 20 })
test.after.always(() => pool.end())

const create = (world: string) => postgresStore({ pool, table: world })

for (const { title, run } of repeatedCases({ create, capabilities: ['sweep', 'keys', 'shared'] })) {
  const declare = server ? test : test.skip
  declare(`where transactions are serializable by default: ${title}`, async t => {
    await t.notThrowsAsync(run())
  })
}
