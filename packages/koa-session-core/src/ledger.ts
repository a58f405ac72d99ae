import { SessionError } from './errors.js'
import { type Deadline, type GuardedStore, isTimeout } from './guarded-store.js'
import { ended, type Live, type Stored, tombstone } from './record.js'
import { elapsed, setTimeout } from './waiting.js'

/** What a process knows to be stored under a key. `null`: nothing. `undefined`: it has to be read. */
export type State = Stored | null | undefined

/** What became of an attempt to replace a record. */
export interface Settled {
  readonly state: Stored | null
  /** Whether it was written; otherwise the plan stopped at `state`. */
  readonly written: boolean
}

/** What to put in place of what is there now. `undefined`: nothing, stop here. */
export type Plan = (now: Stored | null) => Stored | undefined | Promise<Stored | undefined>

/** The longest pause between two attempts that lost, in milliseconds. */
const longestPause = 100

/** Every change of a stored session goes through here: one at a time in this process, conditionally in the store. */
export class Ledger {
  readonly #store: GuardedStore
  readonly #tails = new Map<string, Promise<State>>()

  constructor(store: GuardedStore) {
    this.#store = store
  }

  /** Whether a change of `key` is under way in this process. */
  busy(key: string): boolean {
    return this.#tails.has(key)
  }

  /**
   * Replace the record under `key` by what `plan` makes of the present one, and ask again on fresh data whenever another
   * process was faster. Changes of one key queue up, and each is handed the state the one before it left, so that none
   * needs to read; after an error the next one reads. Rejects with ERR_SESSION_CONFLICT when `deadline` passes first.
   */
  replace(key: string, known: State, plan: Plan, deadline: Deadline): Promise<Settled> {
    const before = this.#tails.get(key)
    const settled = before
      ? this.#store.wait(before, deadline).then(state => this.#race(key, state, plan, deadline))
      : this.#race(key, known, plan, deadline)
    const tail = settled.then(
      ({ state }) => state,
      // Who gave up waiting did not end what others wait for.
      () => before?.then(() => undefined),
    )
    this.#tails.set(key, tail)
    tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key)
    })
    return settled
  }

  async #race(key: string, known: State, plan: Plan, deadline: Deadline): Promise<Settled> {
    for (let lost = 0; ; lost++) {
      // What looks expired here may have been touched by another request meanwhile: the store decides.
      const now = known === undefined ? await this.#store.read(key, deadline) : known
      const next = await plan(now)
      if (!next) return { state: now, written: false }
      if (await this.write(next, now?.record.version ?? null, deadline)) {
        const over = next.record.expiresAt <= Date.now()
        return { state: over ? null : next, written: true }
      }
      this.#store.event('conflict', key)
      await pause(lost)
      // No call is begun that has no time left: it would be a timeout, and the store is not slow.
      if (elapsed() >= deadline) throw conflict()
      known = undefined
    }
  }

  /** One conditional write. When its reply is lost, reading tells whether it took effect. */
  async write(next: Stored, expected: string | null, deadline: Deadline): Promise<boolean> {
    for (let again = false; ; again = true) {
      try {
        return await this.#store.write(next, expected, deadline)
      } catch (error) {
        if (isTimeout(error)) throw error
        const found = await this.#store.read(next.key, deadline).catch(() => {
          throw error
        })
        if (found?.record.version === next.record.version) return true
        if ((found?.record.version ?? null) !== expected) return false
        if (again) throw error
      }
    }
  }

  /**
   * End the session under `key`, wherever it went meanwhile. With `successor` it leaves a tombstone naming that key, and
   * another login found in the way is left alone. Resolves to the state that was ended, if this call ended one.
   */
  async end(key: string, known: State, deadline: Deadline, successor?: string): Promise<Live | undefined> {
    let last: Stored | null = null
    const plan: Plan = now => {
      last = now
      if (!now || now.kind === 'tombstone') return undefined
      return successor === undefined ? ended(key) : tombstone(key, successor, true)
    }
    const { state, written } = await this.replace(key, known, plan, deadline)
    if (written) {
      if (successor === undefined) await this.#store.destroy(key, deadline)
      this.#store.event('destroyed', key)
      return isLive(last) ? last : undefined
    }
    if (state?.kind !== 'tombstone' || (successor !== undefined && state.login)) return undefined
    return this.end(state.successor, undefined, deadline, successor)
  }
}

export const isLive = (state: State): state is Live => state?.kind === 'live'

/** A random wait that doubles with each lost race, so that contenders spread out. */
function pause(lost: number): Promise<void> {
  const wait = Math.random() * Math.min(longestPause, 2 ** Math.min(lost, 10))
  return new Promise(resolve => setTimeout(resolve, wait))
}

const conflict = () =>
  new SessionError('ERR_SESSION_CONFLICT', 'the session kept changing until storeTimeout had passed')
