import type { Deadline } from './deadlines.js'
import type { Draft } from './draft.js'
import type { Endings } from './endings.js'
import type { Engine } from './engine.js'
import type { Live } from './record.js'
import type { Delivery, Reply } from './reply.js'
import { touch } from './touch.js'
import { turn } from './turn.js'

/** Decides what the response tells the client: the id of a session, to forget its id, or nothing. */
export class IdDelivery {
  readonly #engine: Engine
  readonly #reply: Reply
  /** Whether the app ended a session by `destroy` or `null`: the response clears the cookie whatever others did. */
  isSignedOut = false
  /** Whether another login replaced the session that this request regenerated. */
  #isSuperseded = false
  /** Whether the store failed to answer whether the session is still live. */
  isUnproven = false

  constructor(engine: Engine, reply: Reply) {
    this.#engine = engine
    this.#reply = reply
  }

  /**
   * Ask the store, unless it has just answered, whether the session in the response is still live: a late answer must not bring
   * back an id that another request superseded meanwhile, nor clear the cookie of its login. `isDue`: its times are to be moved.
   */
  async prove(draft: Draft, endings: Endings | undefined, isDue: boolean, deadline: Deadline): Promise<void> {
    if (draft.provenIn === turn()) return
    const { known } = draft
    if (known && !draft.isGone) {
      if (isDue || this.#reply.differs(deliveryOf(draft.id, known))) await touch(this.#engine, draft, deadline)
    } else if (!this.isSignedOut && this.#mayClear(draft, endings)) {
      const { tombstone } = draft.before ?? {}
      const found = tombstone && (await this.#engine.store.read(tombstone.key, deadline))
      this.#isSuperseded = found?.kind === 'tombstone' && found.successor !== tombstone?.successor
    }
  }

  deliver(draft: Draft, endings: Endings | undefined): void {
    const reply = this.#reply
    const { known } = draft
    if (known && !draft.isGone) {
      // The client keeps an id whose term may not have moved. One that it does not know yet it would lose.
      if (!this.isUnproven || !reply.isOf(draft.id)) reply.deliver(deliveryOf(draft.id, known))
      else reply.withdraw()
    } else if (this.#mayClear(draft, endings)) reply.deliver(null)
    else reply.withdraw()
  }

  /** Whether the response may clear the cookie. Until the session is surely destroyed, its client must be able to retry. */
  #mayClear({ before, isGone }: Draft, endings: Endings | undefined): boolean {
    if (!endings?.done) return false
    return this.isSignedOut || (!isGone && !this.#isSuperseded && before?.ended !== false)
  }
}

export const deliveryOf = (id: string, { maxAge, record }: Live): Delivery => ({
  id,
  maxAge,
  expiresAt: record.expiresAt,
})
