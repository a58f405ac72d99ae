// Checks the package in the working directory as npm would publish it. Build first.
// If PACKED names a folder, the tarball stays there; otherwise it is removed.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const { PACKED } = process.env
const folder = PACKED ?? mkdtempSync(join(tmpdir(), 'koa-session-pack-'))
try {
  // Skip scripts: `prepack` builds, and packages checked in parallel would disturb each other.
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder]
  const [{ filename }] = JSON.parse(execFileSync('npm', pack, { encoding: 'utf8' }))
  const tarball = join(folder, filename)
  for (const [command, ...args] of [
    ['publint', '--strict', tarball],
    // ESM only, on purpose: Node 20.19 and later can `require` it.
    ['attw', '--ignore-rules', 'cjs-resolves-to-esm', '--format', 'ascii', '--no-summary', tarball],
  ]) {
    execFileSync(command, args, { stdio: 'inherit' })
  }
} catch (error) {
  // The command has printed the reason.
  process.exitCode = error.status || 1
} finally {
  if (!PACKED) rmSync(folder, { recursive: true })
}
