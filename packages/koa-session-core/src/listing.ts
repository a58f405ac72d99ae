import type { BoundedCall } from './bounded-call.js'
import type { Deadline } from './deadlines.js'
import type { GuardedStore } from './guarded-store.js'
import type { EnumerableStore } from './store.js'

/**
 * The keys of the live sessions of a hashed subject. `storeTimeout` bounds each step, or `deadline` bounds all of them.
 */
export async function* keysOf(store: GuardedStore, subject: string, deadline?: Deadline): AsyncGenerator<string> {
  const abort = new AbortController()
  let step: BoundedCall | undefined
  const keys = (store.store as EnumerableStore)
    .keys({
      subject,
      get signal() {
        step?.renew()
        return abort.signal
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
    // After a failure, closing may wait behind a call that never ends.
    if (!failed) await returned
  }
}
