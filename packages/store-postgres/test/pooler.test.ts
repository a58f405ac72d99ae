import { ServerUnavailableError, sharedServer, startPgbouncer } from '@koa-session/test-servers'
import test from 'ava'
import { conformanceCases } from 'koa-session-core/testkit'
import { postgresStore } from 'koa-session-store-postgres'
import pg from 'pg'

const server = await sharedServer('postgres')
const pooler = server && (await begin(server))
const pool = new pg.Pool({ connectionString: pooler?.url, max: 20 })
test.after.always(async () => {
  await pool.end()
  await pooler?.end()
})

async function begin(postgres: { url: string }) {
  try {
    return await startPgbouncer({ postgres, settings: { default_pool_size: 5 } })
  } catch (error) {
    if (!(error instanceof ServerUnavailableError) || !['', '0', 'false', undefined].includes(process.env.CI))
      throw error
    process.stderr.write(`\nSKIPPED: ${error.message}\n\n`)
    return undefined
  }
}

const create = (world: string) => postgresStore({ pool, table: world })

for (const { title, run } of conformanceCases({ create, capabilities: ['sweep', 'keys', 'shared'] })) {
  const declare = pooler ? test : test.skip
  declare(`behind a transaction pooler: ${title}`, async t => {
    await run()
    t.pass()
  })
}
