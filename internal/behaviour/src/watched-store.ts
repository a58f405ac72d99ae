import type { EnumerableStore, Store, SweepableStore } from 'koa-session-core'
import { type Gate, gate } from './gate.js'

export type Operation = 'read' | 'write' | 'touch' | 'destroy'

/** A call that waits before it reaches the store. */
export interface Held {
  /** Resolves when the call was made. */
  readonly reached: Promise<void>
  release(): void
}

/** A store that tells what it was asked, and lets a test keep a call waiting. */
export interface WatchedStore extends Store {
  readonly calls: { readonly operation: Operation; readonly key: string }[]
  /** Keep the `nth` call of `operation` from now on waiting until it is released. */
  hold(operation: Operation, nth?: number): Held
  count(operation?: Operation): number
}

interface Hold {
  readonly operation: Operation
  left: number
  readonly reached: Gate
  readonly released: Gate
}

export function watched(store: Store): WatchedStore {
  const calls: WatchedStore['calls'] = []
  const holds: Hold[] = []

  async function arrive(operation: Operation, key: string): Promise<void> {
    calls.push({ operation, key })
    for (const hold of holds) {
      if (hold.operation !== operation || --hold.left !== 0) continue
      hold.reached.open()
      await hold.released.opened
    }
  }

  return {
    name: store.name,
    calls,
    count: operation => calls.filter(call => !operation || call.operation === operation).length,
    hold(operation, nth = 1) {
      const hold = { operation, left: nth, reached: gate(), released: gate() }
      holds.push(hold)
      return { reached: hold.reached.opened, release: hold.released.open }
    },
    async read(key, call) {
      await arrive('read', key)
      return store.read(key, call)
    },
    async write(key, record, expected, call) {
      await arrive('write', key)
      return store.write(key, record, expected, call)
    },
    async touch(key, times, expected, call) {
      await arrive('touch', key)
      return store.touch(key, times, expected, call)
    },
    async destroy(key, call) {
      await arrive('destroy', key)
      return store.destroy(key, call)
    },
    close: () => store.close(),
    // The core finds abilities beyond the five methods by their presence.
    ...('sweep' in store && { sweep: (...call: [never]) => (store as SweepableStore).sweep(...call) }),
    ...('keys' in store && { keys: (...call: [never]) => (store as EnumerableStore).keys(...call) }),
  }
}
