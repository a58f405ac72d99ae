import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sharedCases } from '@koa-session/behaviour'
import { inMemory } from '@koa-session/store-tests/in-memory'
import test from 'ava'
import { fileStore } from 'koa-session-store-file'

// These cases ask what requests see, not what a crash leaves.
const root = await mkdtemp(join(inMemory(), 'koa-session-file-'))
test.after.always(() => rm(root, { recursive: true, force: true }))

const create = (world: string) => fileStore({ directory: join(root, world) })

for (const { title, run } of sharedCases({ create, shared: true })) {
  test.serial(title, async t => {
    await t.notThrowsAsync(run())
  })
}
