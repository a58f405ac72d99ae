import { channel, tracingChannel } from 'node:diagnostics_channel'
import { BoundedCall } from './bounded-call.js'
import { type Failure, failure, isSessionError, SessionError } from './errors.js'
import { type Explaining, lastError } from './last-error.js'
import type { ResolvedOptions } from './options.js'
import { type Stored, toStored } from './record.js'
import type { StoreCall } from './store.js'
import { clearTimeout, elapsed, setTimeout } from './waiting.js'

/** What subscribers of the tracing channel `koa-session:store` receive for each call of a store. */
export interface StoreTrace {
  readonly store: string
  readonly operation: 'read' | 'write' | 'touch' | 'destroy' | 'sweep' | 'keys'
  /** SHA-256 of the session id; absent for `sweep` and `keys`. */
  readonly key?: string
  /** What came of it, once known: `found`, `missing`, `true`, `false` or `done`; absent after an error. */
  outcome?: string
}

/** What subscribers of the channel `koa-session:event` receive. */
export interface SessionEvent {
  readonly type: 'created' | 'rotated' | 'destroyed' | 'conflict' | 'dropped' | 'rejected'
  readonly store: string
  readonly key: string
}

const traces = tracingChannel<StoreTrace, StoreTrace>('koa-session:store')
const events = channel('koa-session:event')

/** A moment by the monotonic clock, in milliseconds, at which waiting ends. */
export type Deadline = number

/** The store as the core calls it: every call ends in time, every failure is a SessionError, every call can be traced. */
export class GuardedStore {
  readonly #options: ResolvedOptions
  /** The last failure since a call succeeded, which may be why another one takes so long. */
  #last: Failure | undefined

  constructor(options: ResolvedOptions) {
    this.#options = options
  }

  get storeTimeout(): number {
    return this.#options.storeTimeout
  }

  deadline(): Deadline {
    return elapsed() + this.#options.storeTimeout
  }

  /** What is there now, by this process's clock; `null`: nothing. */
  async read(key: string, deadline: Deadline): Promise<Stored | null> {
    const record = await this.call('read', key, deadline, call => this.#options.store.read(key, call))
    if (!record || record.expiresAt <= Date.now()) return null
    return toStored(this.#options, key, record)
  }

  write(next: Stored, expected: string | null, deadline: Deadline): Promise<boolean> {
    const { key, record } = next
    const run = (call: StoreCall) => this.#options.store.write(key, record, expected, call)
    return this.call('write', key, deadline, run, record.data)
  }

  touch(
    key: string,
    times: { seenAt: number; expiresAt: number },
    expected: string,
    deadline = this.deadline(),
  ): Promise<boolean> {
    const { store } = this.#options
    return this.call('touch', key, deadline, call => store.touch(key, times, expected, call))
  }

  destroy(key: string, deadline: Deadline): Promise<void> {
    return this.call('destroy', key, deadline, call => this.#options.store.destroy(key, call))
  }

  event(type: SessionEvent['type'], key: string): void {
    if (events.hasSubscribers) events.publish({ type, store: this.#options.store.name, key } satisfies SessionEvent)
  }

  call<T>(
    operation: StoreTrace['operation'],
    key: string | undefined,
    deadline: Deadline,
    run: (call: StoreCall) => Promise<T>,
    data?: string,
  ): Promise<T> {
    if (!traces.hasSubscribers) return this.#bounded(operation, deadline, run, data)
    const trace: StoreTrace = { store: this.#options.store.name, operation, ...(key !== undefined && { key }) }
    let result: T
    // The traced promise resolves to nothing: tracePromise publishes what its promise resolves to.
    const traced = async () => {
      result = await this.#bounded(operation, deadline, run, data)
      trace.outcome = outcome(operation, result)
    }
    return traces.tracePromise(traced, trace).then(() => result)
  }

  #bounded<T>(operation: string, deadline: Deadline, run: (call: StoreCall) => Promise<T>, data?: string): Promise<T> {
    const { store } = this.#options
    return new Promise((resolve, reject) => {
      // Long work is bounded step by step: a store looks at the signal before each.
      const isLong = operation === 'sweep' || operation === 'keys'
      const call = new BoundedCall(isLong ? () => timer?.refresh() : undefined)
      let timer: NodeJS.Timeout | undefined
      const expire = () => {
        const error = this.timeout(operation)
        reject(error)
        call.abort(error)
      }
      const left = deadline - elapsed()
      if (left <= 0) return expire()
      // Not unref'd: a script that waits for a silent store must end with this error, not by running out of events.
      timer = setTimeout(expire, left)
      const fail = (cause: unknown) => {
        clearTimeout(timer)
        if (call.isAbortedWith(cause)) return
        // Also when nobody waits any more: the next one who waits in vain is told.
        const last = failure(cause, data)
        this.#last = last
        reject(
          new SessionError('ERR_SESSION_STORE', `store ${store.name}: ${operation} failed: ${last.reason}`, last.cause),
        )
      }
      try {
        run(call).then(value => {
          clearTimeout(timer)
          this.#last = undefined
          resolve(value)
        }, fail)
      } catch (cause) {
        fail(cause)
      }
    })
  }

  timeout(operation: string): SessionError {
    const { store, storeTimeout } = this.#options
    const own = (store as Partial<Explaining>)[lastError]?.()
    const last = own === undefined || own === null ? this.#last : failure(own, undefined)
    const before = last ? `; the last error was ${last.reason}` : ''
    const message = `store ${store.name}: ${operation} did not end within storeTimeout (${storeTimeout} ms)${before}`
    return new SessionError('ERR_SESSION_TIMEOUT', message, last?.cause)
  }
}

export const isTimeout = (error: unknown): boolean => isSessionError(error) && error.code === 'ERR_SESSION_TIMEOUT'

function outcome(operation: string, result: unknown): string {
  if (operation === 'read') return result ? 'found' : 'missing'
  return typeof result === 'boolean' ? String(result) : 'done'
}
