import { Answers, type Connections, PooledCall, patience, silence } from './pooled-call.js'
import type { StoreCall } from './store.js'

/**
 * Connections that a firewall may have forgotten. It silently drops the packets of all connections that were idle. The first
 * dead one costs a wait; the others are skipped.
 */
export class IdleConnections<C extends object> {
  static readonly silence = silence
  static readonly patience = patience

  readonly #pool: Connections<C>
  readonly #answers = new Answers()

  constructor(pool: Connections<C>) {
    this.#pool = pool
  }

  /**
   * Gives a connection to `work`, which must be safe to run twice: if a firewall has forgotten the connection, `work` starts
   * again on another. When the call is aborted, it rejects with the reason at once, and the connection is closed.
   */
  use<T>(call: StoreCall | undefined, work: (connection: C) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      new PooledCall(this.#pool, this.#answers, call, work, resolve, reject).begin()
    })
  }
}
