import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheFolder, withLock } from './cache.js'
import { isCi } from './provide.js'
import { run } from './run.js'

const isThere = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )

/**
 * The path of a Node.js of this major version: the one that runs, or one that npm brings into the cache. If neither can be had,
 * `undefined` with a warning; under `CI=true` that is an error.
 */
export async function nodeProgram(major: number): Promise<string | undefined> {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath
  const platform = process.platform === 'win32' ? 'win' : process.platform
  // The package `node` chooses one of these in a script, which npm may not run.
  const name = `node-${platform}-${process.arch}`
  const folder = join(cacheFolder, `node-${major}`)
  const complete = join(folder, 'complete')
  try {
    if (!(await isThere(complete))) {
      await withLock(`node-${major}`, async () => {
        if (await isThere(complete)) return
        await mkdir(folder, { recursive: true })
        await writeFile(join(folder, 'package.json'), '{ "private": true }')
        const quiet = ['--no-audit', '--no-fund', '--no-save', '--prefer-offline', '--ignore-scripts']
        await run('npm', ['install', ...quiet, '--prefix', folder, `${name}@${major}`], { cwd: folder })
        await writeFile(complete, '')
      })
    }
    return join(folder, 'node_modules', name, 'bin', platform === 'win' ? 'node.exe' : 'node')
  } catch (error) {
    if (isCi()) throw error
    process.stderr.write(`\nSKIPPED: there is no Node.js ${major} here: ${(error as Error).message}\n\n`)
    return undefined
  }
}
