// Started once by each process that starts servers. Its standard input closes when that process is gone, however it
// went; then everything still on the list is ended. Plain JavaScript, so that it starts at once and without a loader.
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { isAlive, processTree, signalAll } from './processes.js'

/** @typedef {{ id: string, pid?: number, group?: boolean, signal?: string, container?: string, folder?: string }} Ward */

/** @type {Map<string, Ward>} */
const wards = new Map()

// Ctrl-C goes to everybody in the terminal's process group; this one has to outlive the others.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {})

for await (const line of createInterface({ input: process.stdin })) {
  const { add, remove } = JSON.parse(line)
  if (add) wards.set(add.id, add)
  if (remove) wards.delete(remove)
}

// Commands first: while they live they may start servers again.
const ordered = [...wards.values()].sort((a, b) => Number(b.group ?? false) - Number(a.group ?? false))
/** @type {number[]} */
const pids = []
for (const ward of ordered) {
  if (ward.pid && ward.group) signalAll([-ward.pid], 'SIGKILL')
  else if (ward.pid) {
    const tree = processTree(ward.pid)
    pids.push(...tree)
    signalAll([ward.pid], ward.signal ?? 'SIGKILL')
    signalAll(tree, 'SIGCONT')
  }
  if (ward.container) {
    try {
      execFileSync('docker', ['rm', '--force', '--volumes', ward.container], { stdio: 'ignore' })
    } catch {
      // Gone already, or the engine is.
    }
  }
}
for (const deadline = Date.now() + 3_000; pids.some(isAlive) && Date.now() < deadline; ) {
  await new Promise(resolve => setTimeout(resolve, 20))
}
signalAll(pids, 'SIGKILL')
for (const { folder } of ordered) {
  if (folder) rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
}
