import type { StoreCall } from './store.js'

/** Throws the reason if the call has been aborted already. */
export function throwIfAborted(call: StoreCall | undefined): void {
  if (!call?.onAbort) call?.signal?.throwIfAborted()
  else {
    call.onAbort(reason => {
      throw reason
    })()
  }
}

/**
 * Resolves to what `begin` resolves to, or rejects with the reason as soon as the call is aborted: a command that has been
 * sent cannot be taken back. Does not begin if the call is aborted already.
 */
export function untilAborted<T>(call: StoreCall | AbortSignal | undefined, begin: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let isAborted = false
    const stop = onAbort(call, reason => {
      isAborted = true
      reject(reason)
    })
    if (isAborted) return
    begin().then(
      value => {
        stop()
        resolve(value)
      },
      error => {
        stop()
        reject(error)
      },
    )
  })
}

const nothing = () => {}

/** Calls `listener` once when the call is aborted, at once if it is aborted already. Returns a function that takes it off. */
export function onAbort(call: StoreCall | AbortSignal | undefined, listener: (reason: unknown) => void): () => void {
  if (!call) return nothing
  if ('onAbort' in call && call.onAbort) return call.onAbort(listener)
  const signal = 'aborted' in call ? call : call.signal
  if (!signal) return nothing
  const listen = () => listener(signal.reason)
  if (signal.aborted) listen()
  else signal.addEventListener('abort', listen, { once: true })
  return () => signal.removeEventListener('abort', listen)
}
