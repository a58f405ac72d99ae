import type { Deadline } from './guarded-store.js'
import type { Runtime } from './runtime.js'
import type { EnumerableStore, StoreCall } from './store.js'

/**
 * The keys of the live sessions of a subject, which comes as its hash. Each step is bounded by `storeTimeout`, or all of
 * them by `deadline`.
 */
export async function* keysOf(
  { options, store }: Runtime,
  subject: string,
  deadline?: Deadline,
): AsyncGenerator<string> {
  const abort = new AbortController()
  const { signal } = abort
  let step: StoreCall | undefined
  const keys = (options.store as EnumerableStore)
    .keys({
      subject,
      get signal() {
        // A look at it is a step of the call under way.
        return step?.signal ? signal : abort.signal
      },
    })
    [Symbol.asyncIterator]()
  let failed = false
  try {
    for (;;) {
      const { done, value } = await store.call('keys', undefined, deadline ?? store.deadline(), call => {
        step = call
        return keys.next()
      })
      if (done) return
      yield value
    }
  } catch (error) {
    failed = true
    abort.abort(error)
    throw error
  } finally {
    const returned = Promise.resolve(keys.return?.()).catch(() => {})
    // After a failure it may wait behind a call that never ends.
    if (!failed) await returned
  }
}
