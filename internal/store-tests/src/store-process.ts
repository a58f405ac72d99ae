import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { SessionRecord } from 'koa-session-core'
import type { TestedStore } from './tested-store.js'

/** A process with stores in it. */
export interface StoreProcess {
  readonly pid: number
  /** Calls a method of the store, or a task of child.ts, over there. */
  call<T>(world: string, method: string, ...args: unknown[]): Promise<T>
  /** Closes its input, whereupon it closes its stores. Resolves to its exit code once it is gone. */
  end(): Promise<number | null>
}

const child = fileURLToPath(new URL('./child.js', import.meta.url))

/** Starts a process that opens its stores by the function `open` of `module`. */
export async function startStoreProcess(module: URL, url: string): Promise<StoreProcess> {
  const args = [child, module.href, url]
  const spawned = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  spawned.stdin.on('error', () => {})
  const exited = once(spawned, 'close') as Promise<[number | null]>
  // Unless somebody waits for it, it keeps nothing alive: hooks that would end it do not run if no test is chosen.
  const handles = [spawned, spawned.stdin as Socket, spawned.stdout as Socket]
  const hold = () => handles.forEach(each => void each.ref())
  const letGo = () => handles.forEach(each => void each.unref())
  letGo()
  const waiting = new Map<number, (answer: { value?: unknown; error?: string }) => void>()
  let dead = false
  void exited.then(() => {
    dead = true
    for (const answer of waiting.values()) answer({ error: 'the process has ended' })
  })
  createInterface({ input: spawned.stdout }).on('line', line => {
    const { id, ...answer } = JSON.parse(line)
    waiting.get(id)?.(answer)
    waiting.delete(id)
    if (waiting.size === 0) letGo()
  })

  let calls = 0
  return {
    pid: spawned.pid as number,
    call(world, method, ...args) {
      const id = ++calls
      return new Promise((resolve, reject) => {
        if (dead) return reject(new Error('the process has ended'))
        hold()
        waiting.set(id, ({ value, error }) =>
          error === undefined ? resolve(value as never) : reject(new Error(`over there: ${error}`)),
        )
        spawned.stdin.write(`${JSON.stringify({ id, world, method, args, now: Date.now() })}\n`)
      })
    },
    async end() {
      hold()
      spawned.stdin.end()
      const [code] = await exited
      return code
    },
  }
}

/** The store on `world` in another process, as if it were here. */
export function remoteStore(there: StoreProcess, world: string, canSweep: boolean): TestedStore {
  let isClosed = false
  const call = async <T>(signal: AbortSignal | undefined, method: string, ...args: unknown[]): Promise<T> => {
    signal?.throwIfAborted()
    if (isClosed) throw new Error('the remote store is closed')
    return there.call<T>(world, method, ...args)
  }
  return {
    name: 'remote',
    read: (key, { signal } = {}) => call<SessionRecord | undefined>(signal, 'read', key),
    write: (key, record, expected, { signal } = {}) => call<boolean>(signal, 'write', key, record, expected),
    touch: (key, times, expected, { signal } = {}) => call<boolean>(signal, 'touch', key, times, expected),
    destroy: (key, { signal } = {}) => call<void>(signal, 'destroy', key),
    ...(canSweep && { sweep: ({ signal } = {}) => call<number>(signal, 'sweep') }),
    async *keys({ signal, subject } = {}) {
      yield* await call<string[]>(signal, 'keys', { subject })
    },
    // The other store may be in use by somebody else.
    close: async () => {
      isClosed = true
    },
  }
}
