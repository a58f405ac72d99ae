import { secretsFound } from '@koa-session/behaviour'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { Redis } from 'ioredis'
import { open } from './open.js'

const server = await sharedServer('redis')
const world = 'dumped'

async function dump(url: string): Promise<Buffer> {
  const client = new Redis(url)
  const keys = await client.keys(`${world}*`)
  const values = await Promise.all(keys.map(key => client.dumpBuffer(key)))
  const texts = await Promise.all(
    keys.map(async key => (await client.type(key)) === 'string' && (await client.get(key))),
  )
  client.disconnect()
  return Buffer.concat([Buffer.from(JSON.stringify([keys, texts])), ...values.map(value => value ?? Buffer.of())])
}

const declare = server ? test : test.skip
declare('a dump taken while users are signed in contains neither an id nor a subject, in any encoding', async t => {
  const { url = '' } = server ?? {}
  const store = open(url, world)
  t.deepEqual(await secretsFound(store, () => dump(url)), [])
  await store.close()
})
