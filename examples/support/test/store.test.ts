import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore, SettingError, storeNames } from '@koa-session/example-support'
import { openableStores } from '@koa-session/example-support/testing'
import test from 'ava'

// First of all: AVA takes no tests after a pause that follows a declaration.
const stores = await openableStores()

test('without STORE the store is memoryStore()', async t => {
  t.is((await openStore({})).name, 'memory')
})

for (const { name, environment } of stores) {
  test(`STORE=${name} opens the store ${name}`, async t => {
    const store = await openStore({ ...environment, SESSION_DIRECTORY: join('never', 'made') })
    t.is(store.name, name)
    await store.close()
  })
}

test('only their user can read the files of STORE=sqlite', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'koa-session-sqlite-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const store = await openStore({ STORE: 'sqlite', SESSION_FILE: join(folder, 'sessions.db') })
  await store.write('a'.repeat(64), { data: '', version: '1', seenAt: 1, expiresAt: Date.now() + 60_000 }, null)
  const files = await readdir(folder)
  t.true(files.length > 1)
  for (const file of files) t.is((await stat(join(folder, file))).mode & 0o777, 0o600, file)
  await store.close()
})

test('a store without the URL of its server is an error that names the variable', async t => {
  for (const [name, variable] of Object.entries({ redis: 'REDIS_URL', mongo: 'MONGODB_URL' })) {
    const error = await t.throwsAsync(openStore({ STORE: name }), { instanceOf: SettingError })
    t.is(error?.message, `STORE=${name} needs ${variable}, the URL of the server`)
  }
})

test('an unknown STORE is an error that lists the known stores', async t => {
  for (const name of ['dbase', '', 'toString']) {
    const error = await t.throwsAsync(openStore({ STORE: name }), { instanceOf: SettingError })
    t.is(error?.message, `STORE must be one of ${storeNames.join(', ')}, got "${name}"`)
  }
})
