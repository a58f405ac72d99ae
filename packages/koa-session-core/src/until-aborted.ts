/** What `begin` resolves to, or the signal's reason as soon as it aborts: a command once sent cannot be taken back. */
export async function untilAborted<T>(signal: AbortSignal | undefined, begin: () => Promise<T>): Promise<T> {
  if (signal === undefined) return begin()
  signal.throwIfAborted()
  let stop = () => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([begin(), aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
