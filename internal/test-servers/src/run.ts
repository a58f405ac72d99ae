import { spawn } from 'node:child_process'
import { accessSync, constants, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface RunOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly uid?: number | undefined
  readonly gid?: number | undefined
  readonly input?: string
}

/** Runs a command to its end and gives its output; rejects with the tail of it when it failed. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { input, ...rest } = options
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...rest, stdio: ['pipe', 'pipe', 'pipe'] } as object)
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', text => {
        output += text
      })
    }
    child.stdin?.on('error', () => {})
    child.stdin?.end(input ?? '')
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve(output)
      else
        reject(new Error(`${command} ${args.join(' ')}: ${signal ?? `exit ${code}`}\n${output.trim().slice(-2_000)}`))
    })
  })
}

/** Where servers lie that are not on everybody's PATH. */
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
