import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** The system calls by which the store changes the disk, under all the names they have on Linux. */
const changing = [
  'mkdir',
  'pwrite64',
  'pwritev',
  'fsync',
  'fdatasync',
  'link',
  'rename',
  'renameat2',
  'unlink',
  'rmdir',
]
const everyName = changing.flatMap(name => [`?${name}`, `?${name}at`])

/** The nth system call of that name in the life of a process. */
export interface Moment {
  readonly name: string
  readonly nth: number
}

/** The command that writes down every change of the disk that its process makes, and these other calls. */
export const recording = (log: string, ...others: string[]): string[] => [
  'strace',
  '-f',
  '-o',
  log,
  '-e',
  `trace=${[...everyName, ...others]}`,
]

/** The calls that are written down in `log`. */
export function recorded(log: string): Moment[] {
  const counts = new Map<string, number>()
  return [...readFileSync(log, 'utf8').matchAll(/^\d+ +(\w+)\(/gm)].map(([, name = '']) => {
    const nth = (counts.get(name) ?? 0) + 1
    counts.set(name, nth)
    return { name, nth }
  })
}

/** The command that kills its process when it is about to make this call. */
export const killedAt = ({ name, nth }: Moment): string[] => [
  'strace',
  '-f',
  '-o',
  '/dev/null',
  '-e',
  `trace=${name}`,
  '-e',
  `inject=${name}:signal=KILL:when=${nth}`,
]

/** The command that stops its process when it has just made this call, and writes that down. */
export const stoppedAfter = ({ name, nth }: Moment, log: string): string[] => [
  'strace',
  '-f',
  '-o',
  log,
  '-e',
  `trace=${name}`,
  '-e',
  `inject=${name}:signal=STOP:when=${nth}`,
]

/** Whether strace can be run. Where it is missing it is installed, if this is Debian and we may. */
export function haveStrace(): boolean {
  if (process.platform !== 'linux') return false
  if (works()) return true
  if (process.getuid?.() !== 0) return false
  try {
    execFileSync('apt-get', ['install', '-y', '-q', 'strace'], { stdio: 'ignore', timeout: 120_000 })
  } catch {
    return false
  }
  return works()
}

function works(): boolean {
  try {
    execFileSync('strace', ['-f', '-o', '/dev/null', '-e', 'inject=fsync:signal=KILL:when=9', 'true'])
    return true
  } catch {
    return false
  }
}
