import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import type { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** Things to clean up when this process ends: processes, a Docker container, a folder. */
export interface Ward {
  readonly pid?: number
  /** The pid leads a process group: the whole group is killed, before anything else. */
  readonly group?: boolean
  /** The signal that ends it. @default 'SIGKILL' */
  readonly signal?: NodeJS.Signals
  readonly container?: string
  readonly folder?: string
}

let watchdog: ChildProcessByStdio<Writable, null, null> | undefined

function send(message: object): void {
  if (watchdog === undefined) {
    const script = fileURLToPath(new URL('watchdog.js', import.meta.url))
    // Without the options of the test runner, which would only slow it down.
    const env = { ...process.env, NODE_OPTIONS: '', NODE_V8_COVERAGE: '' }
    // Detached: a Ctrl-C meant for this process must not reach it. Neither it nor its pipe keeps this process alive.
    watchdog = spawn(process.execPath, [script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'], env })
    watchdog.unref()
    watchdog.stdin.on('error', () => {})
    ;(watchdog.stdin as Writable & { unref?(): void }).unref?.()
  }
  watchdog.stdin.write(`${JSON.stringify(message)}\n`)
}

/** Puts something under the watchdog's care until the returned function is called. */
export function guard(ward: Ward): () => void {
  const id = randomUUID()
  send({ add: { ...ward, id } })
  return () => send({ remove: id })
}
