import { join } from 'node:path'
import { cacheFolder, withLock } from './cache.js'
import type { Installable } from './engine.js'
import { isOpen, standardPorts } from './ports.js'
import { findProgram, run } from './run.js'

/**
 * Updates the lists and installs. Debian asks a script before it starts a service; where the machine has none, one that
 * says no is there for as long. All in one shell, which finishes also when the tests are interrupted.
 */
const script = `
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > $policy
  chmod 755 $policy
fi
get="apt-get -q -y -o DPkg::Lock::Timeout=300"
$get update || exit
for names; do
  for name in $(echo "$names" | tr '|' ' '); do
    # Older releases have the version in the name.
    apt-cache show "$name" > /dev/null 2>&1 ||
      name=$(apt-cache --names-only search "^$name-[0-9.]+$" | cut -d ' ' -f 1 | sort -V | tail -n 1)
    [ -z "$name" ] || break
  done
  chosen="$chosen $name"
done
$get install --no-install-recommends $chosen
`

const openStandardPorts = async () => {
  const open = await Promise.all(standardPorts.map(isOpen))
  return standardPorts.filter((_, index) => open[index])
}

/** `TEST_SERVERS_INSTALL=0` leaves the machine as it is. */
export function canInstall(): boolean {
  const isAllowed = process.env.TEST_SERVERS_INSTALL !== '0'
  return isAllowed && process.getuid?.() === 0 && findProgram('apt-get') !== undefined
}

/** Installs whatever is missing with one apt-get. */
export async function installPackages(wanted: readonly Installable[]): Promise<void> {
  const missing = async () => (await Promise.all(wanted.map(each => each.packages()))).flat()
  if ((await missing()).length === 0) return
  await withLock('apt', async () => {
    const names = await missing()
    if (names.length === 0) return
    const said = names.join(', ').replaceAll('|', ' or ')
    process.stderr.write(`test servers: installing ${said}\n`)
    const before = await openStandardPorts()
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1' }
    await run('sh', ['-c', script, 'sh', ...names], { env, log: join(cacheFolder, 'apt.log') })
    const started = (await openStandardPorts()).filter(port => !before.includes(port))
    if (started.length > 0) throw new Error(`installing ${said} started a service on ${started.join(', ')}`)
  })
}

export async function hasDocker(): Promise<boolean> {
  if (findProgram('docker') === undefined) return false
  return run('docker', ['version', '--format', '{{.Server.Version}}']).then(
    () => true,
    () => false,
  )
}

/** Whether a container of this image could be started: it is here, or can be fetched. */
export async function hasImage(image: string): Promise<boolean> {
  if (!(await hasDocker())) return false
  return run('docker', ['image', 'inspect', image])
    .catch(() => run('docker', ['pull', '--quiet', image]))
    .then(
      () => true,
      () => false,
    )
}
