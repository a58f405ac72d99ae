import { processCases, raceSettings, startProcesses } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { raceOfProcesses } from 'koa-session-core/testkit'

const server = await sharedServer('postgres')
const processes = server ? await startProcesses(new URL('open-on-pool.js', import.meta.url), server.url) : []

for (const { title, run } of processCases({ processes, capabilities: ['sweep', 'keys', 'shared'] })) {
  // One by one: each store has connections of its own.
  const declare = server ? test.serial : test.skip
  declare(title, async t => {
    await t.notThrowsAsync(run())
  })
}

const race = server ? test.serial : test.skip
race('the race of processes that the testkit offers to authors of stores', async t => {
  process.env.POSTGRES_URL = server?.url
  const module = new URL('world.js', import.meta.url)
  await t.notThrowsAsync(raceOfProcesses({ module, ...raceSettings }))
})

test.after.always('processes end by themselves once their stores are closed', async t => {
  for (const one of processes) t.is(await one.end(), 0)
})
