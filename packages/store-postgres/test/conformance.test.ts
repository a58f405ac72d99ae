import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { conformanceCases } from 'koa-session-core/testkit'
import { postgresStore } from 'koa-session-store-postgres'
import pg from 'pg'

const server = await sharedServer('postgres')
const pool = new pg.Pool({ connectionString: server?.url, max: 20 })
test.after.always(() => pool.end())

const create = (world: string) => postgresStore({ pool, table: world })

for (const { title, run } of conformanceCases({ create, capabilities: ['sweep', 'keys', 'shared'] })) {
  const declare = server ? test : test.skip
  declare(title, async t => {
    await t.notThrowsAsync(run())
  })
}
