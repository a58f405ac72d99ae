import { readFile, rm, writeFile } from 'node:fs/promises'
import { withLock } from './cache.js'
import type { Recipe } from './engine.js'
import { isOpen, standardPorts } from './ports.js'
import { findProgram, run } from './run.js'

const policyFile = '/usr/sbin/policy-rc.d'
const policy = `#!/bin/sh
# Made for the time of one apt-get by koa-session's tests: packages must not start their services.
exit 101
`

/** Debian asks this script before it starts a service; a container may have one already. */
async function withoutServices<T>(task: () => Promise<T>): Promise<T> {
  const previous = await readFile(policyFile, 'utf8').catch(() => undefined)
  // One that was left behind by a run that was killed is not the machine's own.
  const isOurs = previous === undefined || previous === policy
  if (isOurs) await writeFile(policyFile, policy, { mode: 0o755 })
  try {
    return await task()
  } finally {
    if (isOurs) await rm(policyFile, { force: true })
  }
}

const openStandardPorts = async () => {
  const open = await Promise.all(standardPorts.map(isOpen))
  return standardPorts.filter((_, index) => open[index])
}

/** Package names differ between releases; take what this one has. */
async function known(name: string): Promise<string[]> {
  const names = await run('apt-cache', ['--names-only', 'search', `^${name}(-[0-9.]+)?$`])
  const found = names.split('\n').flatMap(line => line.split(' ')[0] || [])
  return found.includes(name) ? [name] : found.slice(-1)
}

/** `TEST_SERVERS_INSTALL=0` leaves the machine as it is. */
export function canInstall(): boolean {
  const isAllowed = process.env.TEST_SERVERS_INSTALL !== '0'
  return isAllowed && process.getuid?.() === 0 && findProgram('apt-get') !== undefined
}

/** Installs whatever the recipes miss with one apt-get. */
export async function installPackages(recipes: readonly Recipe[]): Promise<void> {
  const missing = async () => (await Promise.all(recipes.map(recipe => recipe.packages()))).flat()
  if ((await missing()).length === 0) return
  await withLock('apt', async () => {
    const wanted = await missing()
    if (wanted.length === 0) return
    process.stderr.write(`test servers: installing ${wanted.join(', ')}\n`)
    const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1' }
    const patient = ['-q', '-y', '-o', 'DPkg::Lock::Timeout=300']
    await run('apt-get', [...patient, 'update'], { env: environment })
    const packages = (await Promise.all(wanted.map(known))).flat()
    const before = await openStandardPorts()
    await withoutServices(() =>
      run('apt-get', [...patient, 'install', '--no-install-recommends', ...packages], { env: environment }),
    )
    const started = (await openStandardPorts()).filter(port => !before.includes(port))
    if (started.length > 0)
      throw new Error(`installing ${packages.join(', ')} started a service on ${started.join(', ')}`)
  })
}

export async function hasDocker(): Promise<boolean> {
  if (findProgram('docker') === undefined) return false
  return run('docker', ['version', '--format', '{{.Server.Version}}']).then(
    () => true,
    () => false,
  )
}
