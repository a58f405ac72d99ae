import { secretsFound } from '@koa-session/behaviour'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import pg from 'pg'
import { open } from './open.js'

const server = await sharedServer('postgres')
const world = 'dumped'

async function dump(url: string): Promise<Buffer> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query(`SELECT * FROM "${world}"`)
  await client.end()
  return Buffer.from(JSON.stringify(rows))
}

const declare = server ? test : test.skip
declare('a dump taken while users are signed in contains neither an id nor a subject, in any encoding', async t => {
  const { url = '' } = server ?? {}
  const store = open(url, world)
  t.deepEqual(await secretsFound(store, () => dump(url)), [])
  await store.close()
})
