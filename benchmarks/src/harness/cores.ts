import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

const hasTaskset = spawnSync('taskset', ['--version']).status === 0

/** Which core measured servers run on, and which one the load: never the same, if there are two. */
export const cores = { server: '1', load: '0' }

/** Whether processes can be kept on cores of their own. */
export const isPinned: boolean = hasTaskset && availableParallelism() > 1

export const pinning = isPinned
  ? `measured processes on core ${cores.server}, the load on core ${cores.load} (\`taskset\`)`
  : 'processes were not pinned to cores: there is no `taskset`, or only one core'

/** The command that runs Node on this core. */
export function onCore(core: string, args: readonly string[]): [string, string[]] {
  return isPinned ? ['taskset', ['-c', core, process.execPath, ...args]] : [process.execPath, [...args]]
}
