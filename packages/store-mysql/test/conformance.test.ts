import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { conformanceCases } from 'koa-session-core/testkit'
import { mysqlStore } from 'koa-session-store-mysql'
import { createPool } from 'mysql2/promise'

const server = await sharedServer('mysql')
const pool = createPool({ uri: server?.url ?? 'mysql://localhost', connectionLimit: 20 })
test.after.always(() => pool.end())

const create = (world: string) => mysqlStore({ pool, table: world })

for (const { title, run } of conformanceCases({ create, capabilities: ['sweep', 'keys', 'shared'] })) {
  const declare = server ? test : test.skip
  declare(title, async t => {
    await t.notThrowsAsync(run())
  })
}
