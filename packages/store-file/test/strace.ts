import { execFileSync } from 'node:child_process'

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

/** The command that stops its process after every change of the disk and after these other calls, and says so on stderr. */
export function stopping(...others: string[]): string[] {
  const calls = [...everyName, ...others].join()
  return ['strace', '-f', '-e', `trace=${calls}`, '-e', `inject=${calls}:signal=STOP`]
}

/** Calls `stopped` with the name of the system call after which the process of `stopping` has stopped. */
export function stopsIn(stopped: (call: string) => void): (line: string) => void {
  const calls = new Map<string, string>()
  let signalled: string | undefined
  return line => {
    const [, thread = '', event = ''] = /^\[pid +(\d+)\] (.*)/.exec(line) ?? []
    // If another thread interferes, strace tells the beginning and the end of a call on two lines.
    const [, name] = /^(?:<\.\.\. )?(\w+)(?:\(| resumed>)/.exec(event) ?? []
    if (name) calls.set(thread, name)
    if (event.startsWith('--- SIGSTOP ')) signalled = thread
    if (event.startsWith('--- stopped by SIGSTOP') && signalled === thread) {
      signalled = undefined
      stopped(calls.get(thread) ?? '')
    }
    if (thread === '' && !/^\+\+\+ exited|^strace: Process \d+ (at|de)tached$/.test(line))
      process.stderr.write(`${line}\n`)
  }
}

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
