/**
 * The state of one session as a store keeps it. The core makes every field; a store gives back exactly what it was
 * given.
 */
export interface SessionRecord {
  /** Opaque text, any Unicode but never NUL. */
  readonly data: string
  /** Epoch milliseconds. From this instant on, by the caller's clock, the session does not exist. */
  readonly expiresAt: number
  /** Epoch milliseconds: when the session was last used. */
  readonly seenAt: number
  /** Names this exact state. Chosen by the core, new for every write, at most 36 ASCII characters. */
  readonly version: string
  /** SHA-256 of the subject, 64 lower-case hex characters. */
  readonly subject?: string
}

/**
 * Tells a call that its caller has stopped waiting. If it is aborted already, the call rejects with the reason and does nothing.
 * If it is aborted later, the call may or may not take effect. `sweep` and `keys` may take long: reading either member before
 * each of their steps restarts `storeTimeout`.
 */
export interface StoreCall {
  /** An `AbortSignal`. It is made when it is first read, which costs more than a read from memory. */
  readonly signal?: AbortSignal
  /**
   * The cheap way: calls `listener` once with the reason, at once if the call is aborted already. Returns a function that removes
   * the listener. The core always gives it, beside `signal`; other callers may give `signal` alone, or nothing.
   */
  onAbort?(listener: (reason: unknown) => void): () => void
}

/**
 * Keeps sessions. Keys are 64 lower-case hex characters. Constructing a store does no I/O and starts no timer.
 * Every method rejects with the driver's own error, and only when the backend fails.
 */
export interface Store {
  /** A short name for errors and events, such as `redis`. */
  readonly name: string

  /** The live session under `key`, or `undefined`. Rejects only when the backend fails. */
  read(key: string, call?: StoreCall): Promise<SessionRecord | undefined>

  /**
   * In one atomic step, check that the live session has version `expected` (`null`: that there is none), and replace it. A lost
   * race is `false`, not an error. If the stored version already is `record.version`, resolve to `true`: a command that a driver
   * sent twice did its work the first time. A record that has already expired leaves nothing to read.
   */
  write(key: string, record: SessionRecord, expected: string | null, call?: StoreCall): Promise<boolean>

  /**
   * Move the times of the live session that still has version `expected`, and nothing else. `false`: it changed or is
   * gone.
   */
  touch(
    key: string,
    times: { readonly seenAt: number; readonly expiresAt: number },
    expected: string,
    call?: StoreCall,
  ): Promise<boolean>

  /** Delete. Resolves even if there is nothing. */
  destroy(key: string, call?: StoreCall): Promise<void>

  /** Release only what this store opened. Idempotent. From then on every other call rejects. */
  close(): Promise<void>
}

/** A store whose backend does not remove expired sessions by itself. */
export interface SweepableStore extends Store {
  /**
   * Delete, in bounded batches, the sessions that expired an hour ago or earlier, so that one fast clock signs nobody out.
   * Resolves to their number.
   */
  sweep(call?: StoreCall): Promise<number>
}

/** A store that can list its sessions. */
export interface EnumerableStore extends Store {
  /** The keys of live sessions, each once, in no order; with `subject`, of that subject's only. */
  keys(call?: StoreCall & { readonly subject?: string }): AsyncIterable<string>
}
