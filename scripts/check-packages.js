// Checks packages as npm would publish them: in a package that one, elsewhere all. Build first.
// If PACKED names a folder, the tarballs stay there; otherwise they are removed.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
// By their interfaces, in one process: each would load TypeScript again for every package.
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'

const root = resolve(import.meta.dirname, '..')
const here = process.cwd()
const names = dirname(here) === join(root, 'packages') ? [basename(here)] : readdirSync(join(root, 'packages'))

const { PACKED } = process.env
const folder = PACKED ?? mkdtempSync(join(tmpdir(), 'koa-session-pack-'))
try {
  // Skip scripts: `prepack` builds, and packages checked in parallel would disturb each other.
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder]
  const workspaces = names.map(name => `--workspace=packages/${name}`)
  const packed = JSON.parse(execFileSync('npm', [...pack, ...workspaces], { cwd: root, encoding: 'utf8' }))
  for (const name of names) {
    const manifest = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'))
    const { filename } = packed.find(each => each.name === manifest.name)
    const problems = await problemsOf(manifest, join(folder, filename))
    console.log(`${name}: ${problems.join('\n') || 'no problems found'}`)
    if (problems.length > 0) process.exitCode = 1
  }
} finally {
  if (!PACKED) rmSync(folder, { recursive: true })
}

async function problemsOf(manifest, tarball) {
  const data = readFileSync(tarball)
  const { messages } = await publint({ strict: true, pack: { tarball: Uint8Array.from(data).buffer } })
  const { types, problems = [] } = await checkPackage(createPackageFromTarballData(new Uint8Array(data)))
  return [
    ...messages.map(message => formatMessage(message, manifest, { color: false })),
    ...(types ? [] : ['there are no types']),
    // ESM only, on purpose: Node 20.19 and later can `require` it.
    ...problems.filter(({ kind }) => kind !== 'CJSResolvesToESM').map(problem => JSON.stringify(problem)),
  ]
}
