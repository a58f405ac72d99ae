import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { behaviourCases } from '@koa-session/behaviour'
import test from 'ava'
import { fileStore } from 'koa-session-store-file'

const root = await mkdtemp(join(tmpdir(), 'koa-session-file-'))
test.after.always(() => rm(root, { recursive: true, force: true }))

const create = (world: string) => fileStore({ directory: join(root, world) })

for (const { title, run } of behaviourCases({ create, shared: true })) {
  test.serial(title, async t => {
    await t.notThrowsAsync(run())
  })
}
