import { faultTests, ownServer } from '@koa-session/store-tests'
import test from 'ava'
import pg from 'pg'
import { open } from './open.js'

const server = await ownServer('postgres')
test.after.always(() => server?.end())

/** All but the one that asks, and whatever belongs to the server itself. */
async function endConnections(url: string) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
  )
  await client.end()
}

faultTests(test, { server, open, endConnections, capabilities: ['sweep', 'keys', 'shared'] })
