import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from '@koa-session/example-support'
import { type OpenableStore, openableStores } from '@koa-session/example-support/testing'
import test from 'ava'
import request from 'supertest'
import { createApp } from '../dist/app.js'

// First of all: AVA takes no tests after a pause that follows a declaration.
const stores = await openableStores()
const directory = await mkdtemp(join(tmpdir(), 'koa-session-quickstart-'))
test.after.always(() => rm(directory, { recursive: true, force: true }))

const app = async ({ environment }: OpenableStore) => {
  const store = await openStore({ ...environment, SESSION_DIRECTORY: directory })
  return createApp(store)
}

for (const store of stores) {
  const { name } = store

  test.serial(`${name}: a user_id stays until it is cleared, and no other visitor sees it`, async t => {
    const { app: koa, sessions } = await app(store)
    const [ada, bob] = [request.agent(koa.callback()), request.agent(koa.callback())]
    await ada.get('/set?user_id=42').expect(200, 'user_id is 42\n')
    t.deepEqual((await ada.get('/get')).body, { user_id: '42' })
    t.deepEqual((await bob.get('/get')).body, { user_id: null })
    await ada.get('/clear').expect(200)
    t.deepEqual((await ada.get('/get')).body, { user_id: null })
    await sessions.close()
  })

  test.serial(`${name}: simple messages are delivered once, in order, even after clear()`, async t => {
    const { app: koa, sessions } = await app(store)
    const client = request.agent(koa.callback())
    await client.get('/set-simple').expect(200)
    await client.get('/clear').expect(200)
    t.deepEqual((await client.get('/get-simple')).body, [
      'A plain string',
      { type: 'success', message: 'A message with a type' },
    ])
    t.deepEqual((await client.get('/get-simple')).body, [])
    await sessions.close()
  })

  test.serial(`${name}: complex messages are delivered unchanged, to one of many parallel requests`, async t => {
    const { app: koa, sessions } = await app(store)
    const server = koa.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = request.agent(server)
    await client.get('/set-complex').expect(200)
    const answers = await Promise.all(Array.from({ length: 10 }, async () => (await client.get('/get-complex')).body))
    const delivered = answers.filter(messages => messages.length > 0)
    t.is(delivered.length, 1)
    const [object, array, order] = delivered[0]
    t.deepEqual(object, { title: 'An object', tags: ['with', 'an', 'array'] })
    t.deepEqual(array, ['an array', { of: 'values' }])
    t.is(order.type, 'order')
    t.is(order.message.id, 7)
    t.is(new Date(order.message.at).toISOString(), order.message.at)
    server.close()
    await sessions.close()
  })
}

test('the quickstart lists its routes, and creates no session for a visitor who writes nothing', async t => {
  const { app: koa } = createApp()
  const response = await request(koa.callback()).get('/').expect(200)
  t.regex(response.text, /\/set\?user_id=/)
  t.is(response.headers['set-cookie'], undefined)
})
