import { spawn } from 'node:child_process'
import { accessSync, closeSync, constants, openSync, readdirSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { guard } from './guard.js'

export interface RunOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly uid?: number | undefined
  readonly gid?: number | undefined
  /** A file for its output. Such a command is not ended with this process, nor by a Ctrl-C: it finishes by itself. */
  readonly log?: string
}

/** Runs a command to its end and gives its output; rejects with the tail of it when it failed. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { log, cwd, env, uid, gid } = options
  const file = log === undefined ? undefined : openSync(log, 'w')
  const child = spawn(command, args, {
    stdio: ['ignore', file ?? 'pipe', file ?? 'pipe'],
    detached: file !== undefined,
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  })
  if (file !== undefined) closeSync(file)
  const release = file === undefined && child.pid !== undefined ? guard({ pid: child.pid }) : undefined
  return new Promise((resolve, reject) => {
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', text => {
        output += text
      })
    }
    child.once('error', reject)
    child.once('close', (code, signal) => {
      release?.()
      if (log !== undefined) output = readFileSync(log, 'utf8')
      if (code === 0) return resolve(output)
      const end = output.trim().slice(-2_000)
      reject(new Error(`${command} ${args.join(' ')}: ${signal ?? `exit ${code}`}\n${end}`))
    })
  })
}

/** Folders of servers that are usually not in PATH. */
function folders(): string[] {
  let postgres: string[] = []
  try {
    postgres = readdirSync('/usr/lib/postgresql')
      .sort((a, b) => Number(b) - Number(a))
      .map(version => `/usr/lib/postgresql/${version}/bin`)
  } catch {
    // Not Debian.
  }
  const path = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  const more = ['/usr/sbin', '/usr/local/sbin', '/usr/libexec', '/usr/local/mysql/bin', '/opt/homebrew/bin']
  return [...path, ...postgres, ...more]
}

/** The full path of the first of these programs that is on the machine. */
export function findProgram(...names: string[]): string | undefined {
  const places = folders()
  for (const name of names) {
    for (const folder of places) {
      const file = join(folder, name)
      try {
        accessSync(file, constants.X_OK)
        return file
      } catch {
        // Not here.
      }
    }
  }
  return undefined
}
