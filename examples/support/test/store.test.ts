import { join } from 'node:path'
import { openStore, storeNames } from '@koa-session/example-support'
import test from 'ava'

test('without STORE the store is the one in memory', async t => {
  t.is((await openStore({})).name, 'memory')
})

for (const name of storeNames) {
  test(`STORE=${name} opens the store ${name}`, async t => {
    const store = await openStore({ ...process.env, STORE: name, SESSION_DIRECTORY: join('never', 'made') })
    t.is(store.name, name)
    await store.close()
  })
}

test('an unknown STORE is an error that lists the known ones', async t => {
  for (const name of ['sqlite', '', 'toString']) {
    const error = await t.throwsAsync(openStore({ STORE: name }), { instanceOf: TypeError })
    t.is(error?.message, `STORE must be one of ${storeNames.join(', ')}, got "${name}"`)
  }
})
