/** Lets at most `count` of the tasks given to it run at the same time, for tests that mostly wait. */
export function fewAtOnce(count: number): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async task => {
    if (running < count) running++
    // A task that ends leaves its place to the next.
    else await new Promise<void>(resolve => waiting.push(resolve))
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
