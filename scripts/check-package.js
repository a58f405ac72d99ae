// Checks the package in the working directory as npm would publish it. Build first.
// PACKED names a folder in which the tarball stays; otherwise it is removed.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const { PACKED } = process.env
const folder = PACKED ?? mkdtempSync(join(tmpdir(), 'koa-session-pack-'))
try {
  // Without scripts: `prepack` builds, and packages checked side by side would build into each other's way.
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder]
  const [{ filename }] = JSON.parse(execFileSync('npm', pack, { encoding: 'utf8' }))
  const tarball = join(folder, filename)
  for (const [command, ...args] of [
    ['publint', '--strict', tarball],
    // ESM alone is meant: Node 20.19 and later `require` it.
    ['attw', '--ignore-rules', 'cjs-resolves-to-esm', '--format', 'ascii', '--no-summary', tarball],
  ]) {
    execFileSync(command, args, { stdio: 'inherit' })
  }
} catch (error) {
  // The command has said why.
  process.exitCode = error.status || 1
} finally {
  if (!PACKED) rmSync(folder, { recursive: true })
}
