import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processCases } from '@koa-session/behaviour'
import test from 'ava'

const root = await mkdtemp(join(tmpdir(), 'koa-session-file-'))
process.env.FILE_STORE_WORLDS = root
const { cases, end } = processCases({ module: new URL('world.js', import.meta.url).href })
test.after.always(async () => {
  await end()
  await rm(root, { recursive: true, force: true })
})

for (const { title, run } of cases) {
  test.serial(title, async t => {
    await t.notThrowsAsync(run())
  })
}
