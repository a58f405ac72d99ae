import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import { build } from 'esbuild'
import { newVersion } from '../dist/id.js'

const run = promisify(execFile)

/** Prints ids and versions when a clone begins; the program was loaded, and drew some, before it was cloned. */
const program = `
import { startupSnapshot } from 'node:v8'
import { newId, newVersion } from ${JSON.stringify(fileURLToPath(new URL('../src/id.ts', import.meta.url)))}
const draw = () => Array.from({ length: 5 }, () => [newId(), newVersion()]).flat()
draw()
startupSnapshot.setDeserializeMainFunction(() => console.log(JSON.stringify(draw())))
`

test('clones of one start-up snapshot never draw the same version or id', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'koa-session-clones-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const [entry, bundle, blob] = ['entry.js', 'bundle.js', 'blob'].map(name => join(folder, name)) as [
    string,
    string,
    string,
  ]
  await writeFile(entry, program)
  await build({ entryPoints: [entry], outfile: bundle, bundle: true, platform: 'node', format: 'cjs' })
  await run(process.execPath, ['--snapshot-blob', blob, '--build-snapshot', bundle])
  const clone = async (): Promise<string[]> =>
    JSON.parse((await run(process.execPath, ['--snapshot-blob', blob, bundle])).stdout)
  const drawn = [...(await clone()), ...(await clone()), ...(await clone())]
  t.is(drawn.length, 30)
  t.is(new Set(drawn).size, 30)
})

test('a version is at most 36 ASCII characters even after centuries of uptime', t => {
  for (let n = 0; n < 1_000; n++) t.regex(newVersion(), /^[\w.-]{20,36}$/)
  t.true(16 + 1 + (2n ** 63n).toString(36).length <= 36)
})
