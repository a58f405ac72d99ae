import type { Entry } from './entry.js'
import { messagesOf } from './flash.js'
import type { Deadline } from './guarded-store.js'
import type { Runtime } from './runtime.js'

/** A session that a request ended, and the one it put in its place. */
export interface Ending {
  readonly old: Entry
  readonly next: Entry
  /** `regenerate`: whoever comes late under the old id finds a tombstone. */
  readonly login: boolean
  /** Set by the first attempt: a second one must not make the request wait twice. */
  deadline?: Deadline
  running?: Promise<void>
}

/** The sessions one request ended. Each is carried out once; one that failed can be tried again. */
export class Endings {
  readonly #runtime: Runtime
  #left: Ending[] = []

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** Whether all are carried out. Otherwise a session may still live. */
  get done(): boolean {
    return this.#left.length === 0
  }

  add(ending: Ending): Ending {
    this.#left.push(ending)
    return ending
  }

  carryOut(ending: Ending, deadline: Deadline): Promise<void> {
    ending.deadline ??= deadline
    ending.running ??= this.#end(ending, ending.deadline).then(
      () => {
        this.#left = this.#left.filter(other => other !== ending)
      },
      error => {
        delete ending.running
        throw error
      },
    )
    return ending.running
  }

  async carryOutAll(deadline: Deadline): Promise<void> {
    for (const ending of this.#left) await this.carryOut(ending, deadline)
  }

  async #end({ old, next, login }: Ending, deadline: Deadline): Promise<void> {
    const { codec, ledger } = this.#runtime
    const elsewhere = old.lost ?? (old.failure && { key: old.failure.key, state: undefined })
    if (!elsewhere && !old.known && !ledger.busy(old.key)) return
    const { key, state } = elsewhere ?? { key: old.key, state: old.known }
    const ended = await ledger.end(key, state, deadline, login ? next.key : undefined)
    // What this request had queued and already stored goes along; what earlier requests queued was the last person's.
    if (login && ended) next.queued.unshift(...messagesOf(codec, old.visit.tag, ended))
  }
}
