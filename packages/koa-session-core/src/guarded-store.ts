import { channel, tracingChannel } from 'node:diagnostics_channel'
import { BoundedCall } from './bounded-call.js'
import { type Deadline, Deadlines } from './deadlines.js'
import { type Failure, failure, isSessionError, SessionError } from './errors.js'
import { type Explaining, lastError } from './last-error.js'
import { type RecordSettings, type Stored, toStored } from './record.js'
import type { Store } from './store.js'
import { elapsed } from './waiting.js'

/** Subscribers of the tracing channel `koa-session:store` receive this for each call of a store. */
export interface StoreTrace {
  readonly store: string
  readonly operation: 'read' | 'write' | 'touch' | 'destroy' | 'sweep' | 'keys'
  /** SHA-256 of the session id; absent for `sweep` and `keys`. */
  readonly key?: string
  /** The result, once known: `found`, `missing`, `true`, `false` or `done`; absent after an error. */
  outcome?: string
}

/** Subscribers of the channel `koa-session:event` receive this. */
export interface SessionEvent {
  readonly type: 'created' | 'rotated' | 'destroyed' | 'conflict' | 'dropped' | 'rejected'
  readonly store: string
  readonly key: string
}

const traces = tracingChannel<StoreTrace, StoreTrace>('koa-session:store')
const events = channel('koa-session:event')

export interface StoreSettings extends RecordSettings {
  readonly store: Store
  /** Milliseconds. */
  readonly storeTimeout: number
}

/** The store as the core calls it: every call has a deadline, every failure is a SessionError, every call can be traced. */
export class GuardedStore {
  readonly #settings: StoreSettings
  readonly #deadlines = new Deadlines()
  /** The last failure since a call succeeded. It may explain a later timeout. */
  #last: Failure | undefined

  constructor(settings: StoreSettings) {
    this.#settings = settings
  }

  get store(): Store {
    return this.#settings.store
  }

  get storeTimeout(): number {
    return this.#settings.storeTimeout
  }

  deadline(): Deadline {
    return elapsed() + this.#settings.storeTimeout
  }

  /** The record that is there now, by this process's clock; `null`: none. */
  async read(key: string, deadline: Deadline): Promise<Stored | null> {
    const record = await this.call('read', key, deadline, call => this.#settings.store.read(key, call))
    return record && record.expiresAt > Date.now() ? toStored(this.#settings, key, record) : null
  }

  write(next: Stored, expected: string | null, deadline: Deadline): Promise<boolean> {
    const { key, record } = next
    const run = (call: BoundedCall) => this.#settings.store.write(key, record, expected, call)
    return this.call('write', key, deadline, run, record.data)
  }

  touch(
    key: string,
    times: { seenAt: number; expiresAt: number },
    expected: string,
    deadline = this.deadline(),
  ): Promise<boolean> {
    const { store } = this.#settings
    return this.call('touch', key, deadline, call => store.touch(key, times, expected, call))
  }

  destroy(key: string, deadline: Deadline): Promise<void> {
    return this.call('destroy', key, deadline, call => this.#settings.store.destroy(key, call))
  }

  event(type: SessionEvent['type'], key: string): void {
    if (events.hasSubscribers) events.publish({ type, store: this.#settings.store.name, key } satisfies SessionEvent)
  }

  call<T>(
    operation: StoreTrace['operation'],
    key: string | undefined,
    deadline: Deadline,
    run: (call: BoundedCall) => Promise<T>,
    data?: string,
  ): Promise<T> {
    if (!traces.hasSubscribers) return this.#bounded(operation, deadline, run, data)
    const trace: StoreTrace = { store: this.#settings.store.name, operation, ...(key !== undefined && { key }) }
    let result: T
    // The traced promise resolves to nothing: tracePromise publishes what its promise resolves to.
    const traced = async () => {
      result = await this.#bounded(operation, deadline, run, data)
      trace.outcome = outcome(operation, result)
    }
    return traces.tracePromise(traced, trace).then(() => result)
  }

  #bounded<T>(
    operation: string,
    deadline: Deadline,
    run: (call: BoundedCall) => Promise<T>,
    data?: string,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const expire = () => {
        const error = this.timeout(operation)
        reject(error)
        call.abort(error)
      }
      // Long work is bounded step by step.
      const isLong = operation === 'sweep' || operation === 'keys'
      const call = new BoundedCall(deadline, expire, isLong ? () => this.deadline() : undefined)
      if (deadline <= elapsed()) return expire()
      this.#deadlines.add(call)
      const succeed = (value: T) => {
        this.#deadlines.remove(call)
        this.#last = undefined
        resolve(value)
      }
      const fail = (cause: unknown) => {
        this.#deadlines.remove(call)
        if (!call.isAbortedWith(cause)) reject(this.#failure(operation, cause, data))
      }
      try {
        run(call).then(succeed, fail)
      } catch (cause) {
        fail(cause)
      }
    })
  }

  /** Remembers it even if the caller has timed out: the next timeout names it as the likely reason. */
  #failure(operation: string, cause: unknown, data: string | undefined): SessionError {
    this.#last = failure(cause, data)
    const message = `store ${this.#settings.store.name}: ${operation} failed: ${this.#last.reason}`
    return new SessionError('ERR_SESSION_STORE', message, this.#last.cause)
  }

  timeout(operation: string): SessionError {
    const { store, storeTimeout } = this.#settings
    const own = (store as Partial<Explaining>)[lastError]?.()
    const last = own === undefined || own === null ? this.#last : failure(own, undefined)
    const before = last ? `; the last error was ${last.reason}` : ''
    const message = `store ${store.name}: ${operation} did not end within storeTimeout (${storeTimeout} ms)${before}`
    return new SessionError('ERR_SESSION_TIMEOUT', message, last?.cause)
  }
}

export const isTimeout = (error: unknown): boolean => isSessionError(error) && error.code === 'ERR_SESSION_TIMEOUT'

/** The codes of file systems, SQLite, PostgreSQL, MySQL, MongoDB and Redis for a full store. */
const noRoom: readonly unknown[] = [
  ...['ENOSPC', 'EDQUOT', 'EFBIG', '53100', '53200', 'SQLITE_FULL'],
  ...['ER_DISK_FULL', 'ER_RECORD_FILE_FULL', 14_031],
]

export function isForRoom(error: unknown): boolean {
  if (!isSessionError(error) || error.code !== 'ERR_SESSION_STORE') return false
  const { code, message } = Object(error.cause) as { code?: unknown; message?: unknown }
  return noRoom.includes(code) || /^-?OOM /.test(String(message))
}

function outcome(operation: string, result: unknown): string {
  if (operation === 'read') return result ? 'found' : 'missing'
  return typeof result === 'boolean' ? String(result) : 'done'
}
