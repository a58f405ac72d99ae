import { AsyncLocalStorage } from 'node:async_hooks'
import type { Store } from '../store.js'

const ahead = new AsyncLocalStorage<number>()
const now = (): number => real.now() + (ahead.getStore() ?? 0)

let real = Date
let users = 0

/** Runs `use` with a clock that is this many milliseconds fast. Other code keeps the correct time. */
export async function withFastClock<T>(by: number, use: () => Promise<T>): Promise<T> {
  if (users++ === 0) {
    real = Date
    globalThis.Date = new Proxy(Date, {
      get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
      construct: (target, args, made) => Reflect.construct(target, args.length > 0 ? args : [now()], made),
    })
  }
  try {
    return await ahead.run(by, use)
  } finally {
    if (--users === 0) globalThis.Date = real
  }
}

/**
 * Whether the store takes the time from this process, as it should: the live session under `key` is over by a clock that
 * is fast by its life. A store that stands for one in another process may not.
 */
export const followsClock = async (store: Store, key: string, life: number): Promise<boolean> =>
  (await withFastClock(life, () => store.read(key))) === undefined
