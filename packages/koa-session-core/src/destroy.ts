import type { Deadline } from './deadlines.js'
import { type GuardedStore, isForRoom } from './guarded-store.js'
import type { Attempt, Plan, Settled } from './plan.js'
import { ended, isLive, type Live, type Reason, type State, type Stored, type Tombstone, tombstone } from './record.js'
import type { StoredSessions } from './stored-sessions.js'

export interface Destroying {
  readonly deadline: Deadline
  /** The stored state, if the caller knows it. */
  readonly known?: State
  /** The key of the session that takes its place: leave a tombstone that names it, and stop at the one of another login. */
  readonly successor?: string | undefined
  /** Other tombstones to stop at. */
  readonly spared?: Reason
  /** Destroy only a session whose last record passes. What cannot be told is left alone. */
  readonly mayDestroy?: (session: Stored) => boolean
}

export interface Destroyed {
  /** Whether this call destroyed anything. */
  readonly ended: boolean
  /** The session that this call destroyed, unless it could not be read. */
  readonly session?: Live | undefined
  /** The tombstone that this call left, or that of another login which it found. */
  readonly tombstone?: Tombstone | undefined
}

/** The stored sessions, and the store under them. */
export interface Backend {
  readonly sessions: StoredSessions
  readonly store: GuardedStore
}

/**
 * Destroy the session under `key`, wherever it went meanwhile. With neither `successor` nor `mayDestroy` a login that is still
 * to store its session is stopped as well.
 */
export async function destroy(backend: Backend, key: string, how: Destroying): Promise<Destroyed> {
  const { store } = backend
  const { deadline, successor, spared, mayDestroy } = how
  const seen = new Set<string>()
  let login: Tombstone | undefined
  for (let at = key, state = how.known; ; ) {
    const { attempt, seen: now } = await replaceOne(backend, at, state, how)
    if (attempt) {
      if (successor === undefined && attempt.record.kind !== 'tombstone') await store.destroy(at, deadline)
      if (attempt.was.kind !== 'tombstone') store.event('destroyed', at)
    } else if (now?.kind === 'tombstone') {
      if (successor !== undefined && now.login) return { ended: false, tombstone: now }
      // Damaged tombstones may lead in a circle.
      if (now.reason === spared || seen.has(now.record.version)) return { ended: false }
      seen.add(now.record.version)
      login = now.reason === 'login' || now.reason === 'revoked' ? now : undefined
      at = now.successor
      state = undefined
      continue
    }
    let isStopped = false
    if (login && successor === undefined && !mayDestroy) {
      const stopping = await stopLogin(backend, login, deadline)
      isStopped = stopping.attempt !== undefined
      if (!isStopped && stopping.seen?.kind === 'tombstone') {
        at = stopping.seen.key
        state = stopping.seen
        login = undefined
        continue
      }
    }
    const { was, record } = attempt ?? {}
    return {
      ended: attempt !== undefined || isStopped,
      session: was && isLive(was) ? was : undefined,
      tombstone: record?.kind === 'tombstone' ? record : undefined,
    }
  }
}

/**
 * Put a tombstone, or nothing, in place of a session. A full store may have no room for a tombstone: to end the session counts
 * more than what a late request finds.
 */
async function replaceOne(
  { sessions }: Backend,
  key: string,
  known: State,
  { deadline, successor, mayDestroy }: Destroying,
): Promise<Settled<DestroyingAttempt>> {
  try {
    return await sessions.replace(key, destroying(key, successor, mayDestroy), { deadline, known })
  } catch (error) {
    if (successor === undefined || !isForRoom(error)) throw error
    return sessions.replace(key, destroying(key, undefined, mayDestroy), { deadline }).catch(() => {
      throw error
    })
  }
}

/** End a tombstone, so that its login cannot store its session any more. */
async function stopLogin(
  { sessions, store }: Backend,
  { key, record }: Tombstone,
  deadline: Deadline,
): Promise<Settled<Attempt>> {
  const plan = (now: Stored | null) => (now?.record.version === record.version ? { record: ended(key) } : undefined)
  const settled = await sessions.replace(key, plan, { deadline })
  if (settled.attempt) await store.destroy(key, deadline)
  return settled
}

interface DestroyingAttempt extends Attempt {
  readonly was: Stored
}

const destroying =
  (key: string, successor: string | undefined, mayDestroy: Destroying['mayDestroy']): Plan<DestroyingAttempt> =>
  now => {
    if (!now || mayDestroy?.(now) === false) return undefined
    if (now.kind === 'tombstone') {
      // One with a subject holds the place of a session that is still to be stored, and must not be one of the subject.
      if (!mayDestroy || now.record.subject === undefined) return undefined
      return { record: tombstone(key, now.successor, 'revoked'), was: now }
    }
    return { record: successor === undefined ? ended(key) : tombstone(key, successor, 'login', now), was: now }
  }
