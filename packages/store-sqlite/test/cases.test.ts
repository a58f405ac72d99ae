import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { inMemory } from '@koa-session/store-tests/in-memory'
import { nodeProgram } from '@koa-session/test-servers'
import test from 'ava'
import { hasNodeSqlite } from './open.js'
import { sqliteCases } from './sqlite-cases.js'

const root = await mkdtemp(join(inMemory(), 'koa-session-sqlite-'))
// Where this Node.js has node:sqlite, the cases run with it anyway.
const node = hasNodeSqlite ? undefined : await nodeProgram(24)
test.after.always(() => rm(root, { recursive: true, force: true }))

for (const { title, run, isAlone } of sqliteCases(root)) {
  const declare = isAlone ? test.serial : test
  declare(title, async t => {
    await t.notThrowsAsync(run())
  })
}

const withNodeSqlite = node ? test.serial : test.skip
withNodeSqlite('every case passes with node:sqlite too', async t => {
  await mkdir(join(root, 'node-sqlite'))
  const script = fileURLToPath(new URL('./run-cases.js', import.meta.url))
  const args = ['--enable-source-maps', '--no-warnings', script, join(root, 'node-sqlite')]
  const child = spawn(node as string, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let passed = 0
  createInterface({ input: child.stdout }).on('line', line => {
    const { title, error } = JSON.parse(line)
    if (error === undefined) passed++
    else t.fail(`${title}\n${error}`)
  })
  t.deepEqual(await once(child, 'close'), [0, null])
  t.true(passed > 100, `${passed}`)
})
