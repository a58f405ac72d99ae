import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { EnumerableStore, SessionRecord, SweepableStore } from 'koa-session-core'

export interface StoreProcess {
  /** The process that runs the store, even inside a wrapper process. */
  readonly pid: number
  /** Call a method of the store, or a task of child.ts, over there. Rejects also when the process ends meanwhile. */
  call<T>(directory: string, method: string, ...args: unknown[]): Promise<T>
  kill(signal: NodeJS.Signals): void
  /** Ends it by closing its input. Resolves to the signal that ended it, if one did. */
  end(): Promise<NodeJS.Signals | null>
}

const child = fileURLToPath(new URL('./child.js', import.meta.url))
const node = [process.execPath, child]

/** Start a process with file stores in it, through the command `wrapper` if there is one. `hear` gets what it writes to stderr. */
export async function startStoreProcess(
  wrapper: readonly string[] = [],
  hear?: (line: string) => void,
): Promise<StoreProcess> {
  const [command = '', ...args] = [...wrapper, ...node]
  // For a tracer: all file system calls on one thread, so that counting them is exact.
  const traced = { UV_THREADPOOL_SIZE: '1' }
  const env = { ...process.env, ...(wrapper.length > 0 && traced) }
  const spawned = spawn(command, args, { env })
  spawned.stdin.on('error', () => {})
  createInterface({ input: spawned.stderr }).on('line', hear ?? (line => process.stderr.write(`${line}\n`)))
  const ended = once(spawned, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const waiting = new Map<number, (answer: { value?: unknown; error?: object }) => void>()
  const lines = createInterface({ input: spawned.stdout })
  const [hello] = (await Promise.race([once(lines, 'line'), ended])) as [string]
  const pid = Number(hello)
  if (!Number.isInteger(pid) || pid === 0) throw new Error(`the process did not start: ${hello}`)

  lines.on('line', line => {
    const { id, ...answer } = JSON.parse(line)
    waiting.get(id)?.(answer)
    waiting.delete(id)
  })
  let dead = false
  const bury = ended.then(([, signal]) => {
    dead = true
    for (const answer of waiting.values()) answer({ error: { code: 'PROCESS_ENDED' } })
    return signal
  })

  let calls = 0
  return {
    pid,
    call(directory, method, ...args) {
      const id = ++calls
      return new Promise((resolve, reject) => {
        if (dead) return reject(Object.assign(new Error('the process has ended'), { code: 'PROCESS_ENDED' }))
        waiting.set(id, ({ value, error }) =>
          error ? reject(Object.assign(new Error('over there'), error)) : resolve(value as never),
        )
        spawned.stdin.write(`${JSON.stringify({ id, directory, method, args, now: Date.now() })}\n`)
      })
    },
    kill(signal) {
      if (!dead) process.kill(pid, signal)
    },
    async end() {
      spawned.stdin.end()
      return bury
    },
  }
}

/** The store on `directory` in another process, as if it were here. */
export function remoteStore(there: StoreProcess, directory: string): SweepableStore & EnumerableStore {
  let isClosed = false
  const call = async <T>(signal: AbortSignal | undefined, method: string, ...args: unknown[]): Promise<T> => {
    signal?.throwIfAborted()
    if (isClosed) throw new Error('the remote store is closed')
    return there.call<T>(directory, method, ...args)
  }
  return {
    name: 'file',
    read: (key, { signal } = {}) => call<SessionRecord | undefined>(signal, 'read', key),
    write: (key, record, expected, { signal } = {}) => call<boolean>(signal, 'write', key, record, expected),
    touch: (key, times, expected, { signal } = {}) => call<boolean>(signal, 'touch', key, times, expected),
    destroy: (key, { signal } = {}) => call<void>(signal, 'destroy', key),
    sweep: ({ signal } = {}) => call<number>(signal, 'sweep'),
    async *keys({ signal, subject } = {}) {
      yield* await call<string[]>(signal, 'keys', { subject })
    },
    // The other store may be in use by somebody else.
    close: async () => {
      isClosed = true
    },
  }
}
