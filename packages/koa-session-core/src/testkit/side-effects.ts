import { AsyncLocalStorage, createHook } from 'node:async_hooks'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { setImmediate } from 'node:timers/promises'

/** Resources of Node.js that stand for I/O or a timer. */
const kinds = /^(FS|FILE|DIR|STAT|TCP|TLS|PIPE|UDP|GETADDR|GETNAME|QUERY|HTTP|PROCESS|WORKER|Timeout)/

const context = new AsyncLocalStorage<string[]>()

/**
 * Calls `run` and lists the I/O and timers that it started, by their names in Node.js. If `run` returns a promise, the list is
 * empty, because it may prepare its world.
 */
export function observed<T>(run: () => T): { result: T; begun: () => Promise<string[]> } {
  const found: string[] = []
  const hook = createHook({
    init(_id, type) {
      if (kinds.test(type) && context.getStore() === found) found.push(type)
    },
  })
  hook.enable()
  try {
    const result = context.run(found, () => withSyncCalls(name => found.push(name), run))
    const isPromise = typeof (result as PromiseLike<unknown> | undefined)?.then === 'function'
    const begun = async () => {
      // A constructor may start its work a moment later.
      for (let turn = 0; turn < 3; turn++) await setImmediate()
      hook.disable()
      return isPromise ? [] : [...new Set(found)]
    }
    return { result, begun }
  } catch (error) {
    hook.disable()
    throw error
  }
}

/** Tells of every synchronous call of `node:fs` that `run` makes, unless it loads a module. */
function withSyncCalls<T>(tell: (name: string) => void, run: () => T): T {
  const functions = fs as unknown as Record<string, unknown>
  const originals = Object.entries(functions).filter(
    ([name, value]) => /Sync$/.test(name) && typeof value === 'function',
  )
  const set = (wrap: (name: string, original: unknown) => unknown) => {
    for (const [name, original] of originals) functions[name] = wrap(name, original)
    syncBuiltinESMExports()
  }
  set((name, original) => (...args: unknown[]) => {
    if (!/node:internal\/modules/.test(String(new Error().stack))) tell(`fs.${name}`)
    return (original as (...args: unknown[]) => unknown).apply(fs, args)
  })
  try {
    return run()
  } finally {
    set((_, original) => original)
  }
}
