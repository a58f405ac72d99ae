/**
 * Runs work on the same key one after the other within this process. The file system handles other processes; this only
 * saves the disk races that are known to be lost. A caller whose signal aborts rejects at once, and work that has not begun
 * then never begins.
 */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  take<T>(key: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const start = (): Promise<T> => {
      signal?.throwIfAborted()
      return work()
    }
    const before = this.#last.get(key)
    const mine = before === undefined ? Promise.resolve().then(start) : before.then(start)
    const ended = mine.then(ignore, ignore).then(() => {
      if (this.#last.get(key) === ended) this.#last.delete(key)
    })
    this.#last.set(key, ended)
    return untilAborted(signal, mine)
  }
}

/** `work`, or the signal's reason as soon as it aborts; the work then ends unobserved. */
export async function untilAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) return work
  let stop: (() => void) | undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    if (stop) signal.removeEventListener('abort', stop)
  }
}

const ignore = (): void => {}
