import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'

/** Which core measured servers run on, and which one the load: never the same, if there are two. */
export const cores = { server: '1', load: '0' }

const canUse = (core: string): boolean => spawnSync('taskset', ['-c', core, 'true']).status === 0

/** Whether processes can be kept on cores of their own. */
export const isPinned: boolean = canUse(cores.server) && canUse(cores.load)

export const pinning = isPinned
  ? `measured processes on core ${cores.server}, the load on core ${cores.load}, databases on any but core ${cores.server} (\`taskset\`)`
  : 'processes were not pinned to cores: there is no `taskset`, or there are not two cores'

/** The command that runs Node on this core. */
export function onCore(core: string, args: readonly string[]): [string, string[]] {
  return isPinned ? ['taskset', ['-c', core, process.execPath, ...args]] : [process.execPath, [...args]]
}

/** Keeps this process, and the databases that it starts, off the core of measured servers. */
export function leaveServerCore(): void {
  if (!isPinned) return
  const others = [...cpus().keys()].filter(core => String(core) !== cores.server).join()
  spawnSync('taskset', ['-a', '-c', '-p', others, String(process.pid)])
}
