import { secretsFound } from '@koa-session/behaviour'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { createConnection } from 'mysql2/promise'
import { open } from './open.js'

const server = await sharedServer('mysql')
const world = 'dumped'

async function dump(url: string): Promise<Buffer> {
  const connection = await createConnection(url)
  const [rows] = await connection.query(`SELECT * FROM \`${world}\``)
  await connection.end()
  const cells = (rows as Record<string, unknown>[]).flatMap(Object.values)
  return Buffer.concat(cells.map(cell => (cell instanceof Buffer ? cell : Buffer.from(String(cell)))))
}

const declare = server ? test : test.skip
declare('a dump taken while users are signed in contains neither an id nor a subject, in any encoding', async t => {
  const { url = '' } = server ?? {}
  const store = open(url, world)
  t.deepEqual(await secretsFound(store, () => dump(url)), [])
  await store.close()
})
