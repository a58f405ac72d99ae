import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { inMemory } from '@koa-session/store-tests/in-memory'
import { nodeProgram } from '@koa-session/test-servers'
import test from 'ava'
import { hasNodeSqlite } from './open.js'

// Where this Node.js has node:sqlite, the other files have tested it.
const node = hasNodeSqlite ? undefined : await nodeProgram(24)
const declare = node ? test : test.skip

declare('every case passes with node:sqlite too', async t => {
  const root = await mkdtemp(join(inMemory(), 'koa-session-sqlite-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  const script = fileURLToPath(new URL('./run-cases.js', import.meta.url))
  const args = ['--enable-source-maps', '--no-warnings', script, root]
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
