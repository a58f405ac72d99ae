import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { inMemory } from '@koa-session/store-tests/in-memory'
import test from 'ava'
import { sqliteCases } from './sqlite-cases.js'

const root = await mkdtemp(join(inMemory(), 'koa-session-sqlite-'))
test.after.always(() => rm(root, { recursive: true, force: true }))

for (const { title, run, isAlone } of sqliteCases(root)) {
  const declare = isAlone ? test.serial : test
  declare(title, async t => {
    await t.notThrowsAsync(run())
  })
}
