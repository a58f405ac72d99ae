import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { processCases } from '@koa-session/behaviour'
import { planCases } from '@koa-session/behaviour/plans'
import { inMemory } from '@koa-session/store-tests/in-memory'
import test from 'ava'
import { conformanceCases } from 'koa-session-core/testkit'
import { fileStore } from 'koa-session-store-file'

// These cases ask what callers see, not what a crash leaves.
const root = await mkdtemp(join(inMemory(), 'koa-session-file-'))
process.env.FILE_STORE_WORLDS = root
const processes = processCases({ module: new URL('world.js', import.meta.url).href })
test.after.always(async () => {
  await processes.end()
  await rm(root, { recursive: true, force: true })
})

const create = (world: string) => fileStore({ directory: join(root, world) })

// One by one, and before all others: plans set the clock.
for (const { title, run } of [...planCases({ create }), ...processes.cases]) {
  test.serial(title, async t => {
    await t.notThrowsAsync(run())
  })
}

for (const { title, run } of conformanceCases({ create, capabilities: ['sweep', 'keys', 'shared'] })) {
  test(title, async t => {
    await t.notThrowsAsync(run())
  })
}
