import type { Deadline } from './deadlines.js'
import type { GuardedStore } from './guarded-store.js'
import { newVersion, sha256 } from './id.js'
import { ended, isLive, type Stored, type Unreadable } from './record.js'
import type { StoredSessions } from './stored-sessions.js'

/** How long a call that crashed stops rotations, in milliseconds. */
export const longestSilence = 300_000

/** A running call of `revokeAll`. Times are epoch milliseconds. */
export interface Call {
  readonly id: string
  /** The call leaves sessions alone that began later. */
  readonly at: number
  readonly heardAt: number
  /** The session that it spares, under every key that this session has or will have. */
  readonly spares: readonly string[]
}

/**
 * Whether a session created at that time began after the call. One that is dated in the future comes from a clock that was ahead,
 * so it may have begun before.
 */
export const isLater = (createdAt: number, { at }: Pick<Call, 'at'>): boolean =>
  createdAt > at && createdAt <= Date.now()

/** A session as a request knows it. */
export interface Known {
  readonly key: string
  readonly createdAt: number
}

/**
 * The running calls of `revokeAll`, for requests of every process: one record for each subject, beside its sessions. Most
 * stores list sessions one after the other, so a listing could miss a session that rotates meanwhile, under both ids. So
 * while a call runs, no session that it is to destroy rotates.
 */
export class Revocations {
  readonly #store: GuardedStore
  readonly #sessions: StoredSessions

  constructor(store: GuardedStore, sessions: StoredSessions) {
    this.#store = store
    this.#sessions = sessions
  }

  /** Whether the calls end a session of the subject, spare it, or do not concern it. */
  async verdict(subject: string, session: Known, deadline: Deadline): Promise<'ends' | 'spared' | undefined> {
    const found = callsIn(await this.#store.read(keyOf(subject), deadline))
    const calls = found.filter(call => !isLater(session.createdAt, call))
    if (calls.some(({ spares }) => !spares.includes(session.key))) return 'ends'
    return calls.length > 0 ? 'spared' : undefined
  }

  /** Spare a session under its next key as well, which is still to be stored. */
  spare(subject: string, key: string, next: string): Promise<void> {
    return this.#change(subject, call =>
      call.spares.includes(key) ? { ...call, spares: [...call.spares, next] } : call,
    )
  }

  /** Begin a call. From here on, the sessions that it is to destroy keep their ids. */
  async begin(subject: string, except: string | undefined): Promise<Call> {
    const now = Date.now()
    const call: Call = { id: newVersion(), at: now, heardAt: now, spares: except === undefined ? [] : [except] }
    await this.#change(subject, other => other, call)
    if (except !== undefined) await this.#pin(subject, except)
    return call
  }

  /** The keys that a call spares by now. */
  async spares(subject: string, { id }: Call): Promise<readonly string[]> {
    const calls = callsIn(await this.#store.read(keyOf(subject), this.#store.deadline()))
    return calls.find(call => call.id === id)?.spares ?? []
  }

  /** Be heard of again. */
  renew(subject: string, { id }: Call): Promise<void> {
    return this.#change(subject, call => (call.id === id ? { ...call, heardAt: Date.now() } : call))
  }

  end(subject: string, { id }: Call): Promise<void> {
    return this.#change(subject, call => (call.id === id ? undefined : call))
  }

  /**
   * Spare the session under all keys that it has had, and give it a new version: a rotation that began before the call loses
   * its write, and the next attempt will know of the call.
   */
  async #pin(subject: string, except: string): Promise<void> {
    const plan = (now: Stored | null) =>
      isLive(now) && now.record.subject === subject
        ? { record: { ...now, record: { ...now.record, version: newVersion() } } }
        : undefined
    const keys = new Set<string>()
    for (let key = except; ; ) {
      keys.add(key)
      const { seen } = await this.#sessions.replace(key, plan, { deadline: this.#store.deadline() })
      if (seen?.kind !== 'tombstone' || keys.has(seen.successor)) return
      await this.spare(subject, key, seen.successor)
      key = seen.successor
    }
  }

  async #change(subject: string, change: (call: Call) => Call | undefined, more?: Call): Promise<void> {
    const key = keyOf(subject)
    const plan = (now: Stored | null) => {
      const calls = [...callsIn(now).flatMap(call => change(call) ?? []), ...(more ? [more] : [])]
      return { record: calls.length > 0 ? recordOf(key, calls) : ended(key) }
    }
    await this.#sessions.replace(key, plan, { deadline: this.#store.deadline() })
  }
}

/** No id has this form, so no request takes the record for its session. */
const keyOf = (subject: string): string => sha256(`revoked:${subject}`)

const mark = '2;'

function callsIn(found: Stored | null): readonly Call[] {
  const data = found?.kind === 'unreadable' ? found.record.data : undefined
  if (typeof data !== 'string' || !data.startsWith(mark)) return []
  const calls: Call[] = JSON.parse(data.slice(mark.length))
  const earliest = Date.now() - longestSilence
  return calls.filter(({ heardAt }) => heardAt > earliest)
}

function recordOf(key: string, calls: readonly Call[]): Unreadable {
  const now = Date.now()
  const record = { data: mark + JSON.stringify(calls), seenAt: now, expiresAt: now + longestSilence }
  return { kind: 'unreadable', key, record: { ...record, version: newVersion() } }
}
