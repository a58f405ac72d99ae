/**
 * Timers and a monotonic clock for the core's own waiting, which a test's fake timers do not replace. Its own deadlines and pauses
 * must end while a test has stopped the clock, and must not fire when a test moves it. The times of sessions come from
 * `Date.now()`, and follow it.
 */
import { performance } from 'node:perf_hooks'
import { clearTimeout, setImmediate, setTimeout } from 'node:timers'

// Those of the module: a global may have been replaced before this package was loaded.
export { clearTimeout, setImmediate, setTimeout }

/** Milliseconds by the monotonic clock. Bound now, because fake timers replace the method as well. */
export const elapsed: () => number = performance.now.bind(performance)

/** Settles like `work`, or rejects with `late()` after this many milliseconds. */
export async function within<T>(milliseconds: number, work: T | PromiseLike<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), milliseconds)
  })
  try {
    return await Promise.race([work, tooLate])
  } finally {
    clearTimeout(timer)
  }
}
