import type { Deadline } from './deadlines.js'
import { destroy } from './destroy.js'
import type { Draft } from './draft.js'
import type { Engine } from './engine.js'
import { ownMessages } from './flash-queue.js'
import { type Stored, tombstone } from './record.js'
import { turn } from './turn.js'

/** A session that a request destroyed, and its replacement. */
export interface Ending {
  readonly old: Draft
  readonly next: Draft
  /** `regenerate`: a late request under the old id finds a tombstone. */
  readonly isLogin: boolean
  /** Set by the first attempt, so that a second one does not make the request wait twice. */
  deadline?: Deadline
  running?: Promise<void>
}

/** The sessions that one request destroyed. Each ending is carried out once; a failed one can be retried. */
export class Endings {
  readonly #engine: Engine
  /** Marks the flash messages that the request queued. */
  readonly #mark: () => string
  #left: Ending[] = []

  constructor(engine: Engine, mark: () => string) {
    this.#engine = engine
    this.#mark = mark
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

  /** Nothing was stored in place of a regenerated session, so `revokeAll` need not find its tombstone any more. */
  async leave({ before, known, isGone }: Draft, deadline: Deadline): Promise<void> {
    if (known || isGone || !before?.ended || before.tombstone?.record.subject === undefined) return
    const { key, record, successor } = before.tombstone
    const plan = (now: Stored | null) =>
      now?.record.version === record.version ? { record: tombstone(key, successor, 'login') } : undefined
    // If this fails, the tombstone stays for a minute, and is no session.
    await this.#engine.sessions.replace(key, plan, { deadline, known: before.tombstone }).catch(() => {})
  }

  async #end({ old, next, isLogin }: Ending, deadline: Deadline): Promise<void> {
    const { options, sessions } = this.#engine
    const elsewhere = old.standing.kind === 'left' ? old.standing.at : undefined
    if (!elsewhere && !old.known && !sessions.busy(old.key)) {
      // It was never stored, so the session before it counts.
      next.before = old.before
      return
    }
    const { key, state } = elsewhere ?? { key: old.key, state: old.known }
    const { ended, session, tombstone } = await destroy(this.#engine, key, {
      deadline,
      known: state,
      successor: isLogin ? next.key : undefined,
    })
    next.before = { draft: old, regenerated: isLogin, ended, tombstone }
    next.provenIn = turn()
    // Messages that this request queued and stored go along; those of earlier requests were the last person's.
    if (isLogin && session) next.queued = ownMessages(options.codec, this.#mark(), session, next.queued)
  }
}
