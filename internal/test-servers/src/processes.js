// Plain JavaScript because the watchdog, which runs without a loader, needs it too.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/**
 * State and parent of a process; `undefined` when there is none.
 * @param {number} pid
 */
function status(pid) {
  try {
    // The name in parentheses may itself contain spaces and parentheses.
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return { pid, state, parent: Number(parent) }
  } catch {
    return undefined
  }
}

function allProcesses() {
  if (process.platform === 'linux') {
    return readdirSync('/proc').flatMap(name => (/^\d+$/.test(name) ? (status(Number(name)) ?? []) : []))
  }
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat='], { encoding: 'utf8' })
  return table.split('\n').flatMap(line => {
    const [pid, parent, state] = line.trim().split(/\s+/)
    return pid ? { pid: Number(pid), parent: Number(parent), state } : []
  })
}

/**
 * The process and all its descendants, ancestors first.
 * @param {number} root
 * @returns {number[]}
 */
export function processTree(root) {
  const all = allProcesses()
  const tree = [root]
  for (const pid of tree) tree.push(...all.filter(each => each.parent === pid).map(each => each.pid))
  return tree
}

/**
 * Whether the process runs. A zombie does not.
 * @param {number} pid
 * @returns {boolean}
 */
export function isAlive(pid) {
  if (process.platform === 'linux') {
    const found = status(pid)
    return found !== undefined && found.state !== 'Z' && found.state !== 'X'
  }
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/**
 * Sends a signal to those that still exist.
 * @param {readonly number[]} pids
 * @param {string} signal
 */
export function signalAll(pids, signal) {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // Gone.
    }
  }
}

/**
 * Whether a signal that stops the process has reached it: each of its threads stops by itself, and one that has not may
 * still answer. Only Linux tells.
 * @param {number} pid
 * @returns {boolean}
 */
export function hasStopped(pid) {
  if (process.platform !== 'linux') return true
  try {
    return readdirSync(`/proc/${pid}/task`).every(thread => {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
      return /^[TtZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
    })
  } catch {
    // Gone, or one of its threads just went.
    return !isAlive(pid)
  }
}
