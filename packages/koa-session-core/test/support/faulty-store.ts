import type { Operation } from '@koa-session/behaviour'
import { memoryStore, type Store } from 'koa-session-core'

export type Fault =
  /** Nothing happens, and the call rejects. */
  | 'rejects'
  /** Nothing happens, and the call throws before it returns a promise. */
  | 'throws'
  /** Nothing happens, and no answer comes, whatever the signal says. */
  | 'hangs'
  /** It takes effect, and no answer comes. */
  | 'never answers'
  /** It takes effect, and the call rejects. */
  | 'loses its reply'
  /** It takes effect and answers after a while, whatever the signal says. */
  | 'is late'

export interface FaultyStore extends Store {
  /** The fault of the calls of `operation`: of all, or of the `nth` alone. */
  break(fault: Fault, operation: Operation, nth?: number): void
  heal(): void
  /** How many calls were broken since it was healed last. */
  readonly broken: number
  /** Whether a broken call of a write has taken effect, or will. */
  readonly mayHaveApplied: boolean
  /** Resolves when nothing is under way that will still take effect. */
  calm(): Promise<unknown>
}

/** A memory store that can be broken in every way a backend breaks. `late`: milliseconds until a late call takes effect. */
export function faultyStore(late: number): FaultyStore {
  const inner = memoryStore()
  const underWay = new Set<Promise<unknown>>()
  let faultOf: (operation: Operation) => Fault | undefined = () => undefined
  let broken = 0
  let applied = false

  function pass<T>(operation: Operation, run: () => Promise<T>): Promise<T> {
    const fault = faultOf(operation)
    if (!fault) return run()
    broken++
    if (fault === 'throws') throw new Error('down')
    const down = Promise.reject(new Error('down'))
    down.catch(() => {})
    if (fault === 'rejects') return down
    const never = new Promise<T>(() => {})
    if (fault === 'hangs') return never
    const waits = fault === 'is late' ? late : 0
    const done = new Promise(resolve => setTimeout(resolve, waits)).then(run)
    underWay.add(done)
    applied ||= operation === 'write'
    if (fault === 'is late') return done
    return done.then(() => (fault === 'never answers' ? never : down))
  }

  return {
    name: 'faulty',
    break(fault, operation, nth) {
      let calls = 0
      faultOf = called => (called === operation && (nth === undefined || ++calls === nth) ? fault : undefined)
    },
    heal() {
      faultOf = () => undefined
      broken = 0
      applied = false
    },
    get broken() {
      return broken
    },
    get mayHaveApplied() {
      return applied
    },
    calm: () => Promise.allSettled(underWay),
    read: (key, call) => pass('read', () => inner.read(key, call)),
    write: (key, record, expected) => pass('write', () => inner.write(key, record, expected)),
    touch: (key, times, expected) => pass('touch', () => inner.touch(key, times, expected)),
    destroy: key => pass('destroy', () => inner.destroy(key)),
    close: () => inner.close(),
  }
}
