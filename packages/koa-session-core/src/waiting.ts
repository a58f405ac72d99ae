/**
 * Timers and a monotonic clock for the core's own waiting, which a test's fake timers do not replace. Its own deadlines and pauses
 * must end while a test has stopped the clock, and must not fire when a test moves it. The times of sessions come from
 * `Date.now()`, and follow it.
 */
import { performance } from 'node:perf_hooks'

// Those of the module: a global may have been replaced before this package was loaded.
export { clearTimeout, setImmediate, setTimeout } from 'node:timers'

/** Milliseconds by the monotonic clock. Bound now, because fake timers replace the method as well. */
export const elapsed: () => number = performance.now.bind(performance)
