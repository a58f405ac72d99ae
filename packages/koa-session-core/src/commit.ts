import type { Deadline } from './deadlines.js'
import type { Entry, View } from './entry.js'
import { claim, type Queued, wasTakenBy } from './flash-queue.js'
import { newId, newVersion } from './id.js'
import {
  expiry,
  isLive,
  isOver,
  type Live,
  live,
  type State,
  type Stored,
  type Tombstone,
  tombstone,
} from './record.js'
import { isWithheld } from './restriction.js'
import type { Revocations } from './revocation.js'
import type { Runtime } from './runtime.js'
import type { SessionData } from './session.js'
import { limitSessions } from './session-limit.js'
import { type Attempt, conflict, type Plan, pause } from './stored-sessions.js'
import { elapsed } from './waiting.js'

export interface How {
  readonly deadline: Deadline
  /** Change the id even if nothing else changed. */
  readonly rotate?: boolean
  /** The session is one that `revokeAll`, which is running, spares. */
  readonly spared?: boolean
  /** Applied to the newest data, and again after each lost race. */
  readonly change?: (data: SessionData) => unknown
}

type Verdict = Awaited<ReturnType<Revocations['verdict']>>

/** The next state of a session, as one attempt would store it. */
interface Change extends Attempt {
  /** The session itself. `record` is a tombstone if the session changes its id. */
  readonly session: Live
  /** The new id, if the session changes it. */
  readonly id?: string
  /** The flash messages that go along. */
  readonly queued: readonly Queued[]
  /** Whether the user's object already has what others changed. */
  readonly isShown: boolean
  /** Whether this makes one session more of its subject, where their number is limited. */
  readonly isOneMore: boolean
}

/** The tombstone to confirm where a session is stored in place of one that ended. */
interface Confirmation {
  readonly tombstone: Tombstone
  /** Whether the request signed somebody in. */
  readonly isLogin: boolean
}

/** Store what a request made of its session. Resolves to whether it is stored; `false`: the session was gone. */
export async function commit(runtime: Runtime, entry: Entry, how: How): Promise<boolean> {
  if (entry.over) return false
  if (entry.untouched && !how.rotate && !how.change) return true
  if (entry.failure) return unread(runtime, entry, how)
  if (entry.lost) {
    if (!how.rotate && !how.change && !entry.dirty()) return true
    const undo = how.change && entry.apply(how.change)
    const wins = entry.authenticates()
    undo?.()
    if (!wins) return drop(runtime, entry.lost.key)
    await supersede(runtime, entry, how)
  }
  const { restriction } = entry.visit
  if (restriction && isWithheld(restriction, entry, how)) {
    entry.visit.advise(restriction)
    return drop(runtime, entry.key)
  }
  if (entry.known) return replace(runtime, entry, how)
  if (!how.rotate) return create(runtime, entry, how)
  if (entry.dirty()) return (await create(runtime, entry, { deadline: how.deadline })) && commit(runtime, entry, how)
  if (!entry.visit.hasLeft) entry.moveTo(newId())
  return true
}

/** Begin a new session for whoever signed in, where the one of the request has gone on under another id, or ended. */
async function supersede({ sessions }: Runtime, entry: Entry, { deadline }: How): Promise<void> {
  const { key, state } = entry.lost as NonNullable<Entry['lost']>
  entry.startOver()
  if (state?.kind !== 'tombstone') return
  // A late answer must not bring back the id that a mere rotation gave. Another login is left alone, and has to learn of this
  // one where it left its sign.
  const { ended, tombstone } = await sessions.end(key, state, deadline, entry.key, 'subject')
  if (tombstone) entry.before = { regenerated: true, ended, tombstone }
}

function drop(runtime: Runtime, key: string): false {
  runtime.store.event('dropped', key)
  return false
}

/**
 * Store a session for the first time. If it took the place of another one and signs nobody in, it must not outlive a logout
 * of that other one: it is stored, and then the write decides that confirms the tombstone, which a logout would end.
 */
async function create(runtime: Runtime, entry: Entry, how: How): Promise<boolean> {
  const { before } = entry
  if (!before) return replace(runtime, entry, how)
  const undo = how.change && entry.apply(how.change)
  const view = entry.view()
  // Without the option `subject` every regenerated session counts as a login.
  const isLogin = !runtime.options.subjectOf || entry.authenticates(view)
  undo?.()
  if (!view.dirty) return true
  const { ended, regenerated, tombstone } = before
  // Under the sign of another login nobody can tell whether that signs out, until it is confirmed.
  const isFinal = tombstone
    ? tombstone.reason !== 'confirmed' || view.subject === undefined
    : regenerated || view.subject !== undefined
  if (!isLogin && !ended && isFinal) return lose(runtime, entry, tombstone ?? null)
  const isOwn = ended && tombstone?.successor === entry.key
  if (tombstone && !(isLogin && isOwn && !entry.hadSubject)) {
    const confirmed = await replace(runtime, entry, how, { tombstone, isLogin })
    if (confirmed || entry.over || entry.lost) return confirmed
    if (!isLogin) return lose(runtime, entry, null)
  }
  return replace(runtime, entry, how)
}

function lose(runtime: Runtime, entry: Entry, state: Tombstone | null): false {
  const key = state?.key ?? entry.key
  entry.lost = { key, state }
  return drop(runtime, key)
}

/** Write the session, under a new id if it changes that. With `confirms`, the deciding write is one on that tombstone. */
async function replace(runtime: Runtime, entry: Entry, how: How, confirms?: Confirmation): Promise<boolean> {
  const { sessions, store } = runtime
  const { deadline } = how
  const { key, known } = entry
  let verdict: Verdict
  const heed = (found: Verdict) => {
    verdict = found
  }
  const plan: Plan<Change> = now => changeOf(runtime, entry, how, key, now, confirms, heed)
  const start = confirms?.tombstone ?? known
  const first = plan(start, [])
  const { attempt, seen, state } = first
    ? await sessions.replace(start?.key ?? key, plan, { deadline, known: start, first, owner: entry })
    : { attempt: undefined, seen: start, state: start }
  if (attempt) {
    const { session, id, queued, isShown, isOneMore, record } = attempt
    if (id !== undefined) entry.moveTo(id)
    entry.settle(session, queued, isShown, record === session ? state : session)
    if (id !== undefined) store.event('rotated', key)
    else if (!known) store.event('created', key)
    if (isOneMore) await limit(runtime, entry, session, deadline)
    return true
  }
  if (entry.over) return false
  if (verdict === 'spared') return commit(runtime, entry, { ...how, spared: true })
  if (entry.key !== key || (!known && entry.known)) return commit(runtime, entry, how)
  if (confirms) return false
  if (isLive(seen) && !isPast(runtime, seen) && verdict !== 'ends') {
    // Nothing is left to write.
    if (seen !== known) entry.meet(seen)
    return true
  }
  if (!known && !seen) return true
  entry.lost = { key, state: seen }
  return commit(runtime, entry, how)
}

async function limit(runtime: Runtime, entry: Entry, session: Live, deadline: Deadline): Promise<void> {
  try {
    const newest = await limitSessions(runtime, session, deadline)
    if (newest !== session && entry.key === session.key && !entry.over) entry.meet(newest)
  } catch (error) {
    // The login is stored. One session too many is no reason to refuse it.
    entry.visit.report(error)
  }
}

const isPast = ({ options }: Runtime, { createdAt, maxAge }: Live): boolean =>
  isOver(options, Date.now(), createdAt, maxAge)

/** What a request makes of the newest record. `undefined`: there is nothing to write, or no session to write to. */
function changeOf(
  runtime: Runtime,
  entry: Entry,
  { change, rotate, spared, deadline }: How,
  key: string,
  now: Stored | null,
  confirms: Confirmation | undefined,
  heed: (verdict: Verdict) => void,
): Change | undefined {
  const { options, revocations, sessions, store } = runtime
  if (entry.over || entry.key !== key) return undefined
  let newest: Live | null = null
  if (confirms) {
    if (entry.known || now?.kind !== 'tombstone' || !now.login) return undefined
    const { record, successor } = confirms.tombstone
    const isOurs = now.record.version === record.version || (now.reason === 'revoked' && now.successor === successor)
    if (!confirms.isLogin && now.reason !== 'confirmed' && !isOurs) return undefined
  } else if (now) {
    if (!isLive(now) || isPast(runtime, now)) return undefined
    newest = now
  } else if (entry.known) return undefined
  const hide = change && newest !== entry.known ? entry.show(newest) : undefined
  let revert: (() => void) | undefined
  const undo = () => {
    revert?.()
    hide?.()
  }
  try {
    revert = change && entry.apply(change)
    const isShown = change !== undefined || newest === entry.known
    const view = entry.view(newest, isShown)
    const rotates = newest !== null && (rotate || mustRotate(entry, view))
    if (!rotates && !view.dirty) {
      undo()
      return undefined
    }
    if (rotates || !entry.known) entry.visit.assertDeliverable()
    const queued = [...entry.queued]
    const { subject } = view
    if (confirms && now?.kind === 'tombstone' && now.reason === 'revoked' && entry.had(subject)) {
      undo()
      return undefined
    }
    const isOneMore = options.maxSessionsPerSubject !== Number.POSITIVE_INFINITY && entry.authenticates(view)
    if (!rotates && !confirms) {
      const session = entry.compose(key, view, newest)
      return { record: session, session, queued, isShown, isOneMore, undo: change && undo }
    }
    const id = confirms ? undefined : newId()
    const session = entry.compose(id === undefined ? key : options.transport.keyOf(id), view, newest)
    return {
      record: confirms
        ? tombstone(confirms.tombstone.key, key, 'confirmed')
        : tombstone(key, session.key, view.moved ? 'subject' : 'rotation'),
      session,
      ...(id !== undefined && { id }),
      queued,
      isShown,
      isOneMore,
      undo,
      async prepare() {
        // A session that has its subject already, which did not sign in just now.
        const known = confirms ? entry.had(subject) && entry.origin : newest?.record.subject === subject && newest
        if (spared && known && subject !== undefined) await revocations.spare(subject, known.key, session.key)
        if (!(await sessions.write(session, null, deadline))) throw new Error('a new session id was already taken')
        // From here on a listing meets it. So `revokeAll`, if it has not begun before, ends it.
        const verdict = known && subject !== undefined && (await revocations.verdict(subject, known, deadline))
        if (verdict === 'ends' || (verdict === 'spared' && !spared && !confirms)) {
          heed(verdict)
          return false
        }
        if (confirms?.isLogin !== false || now?.kind !== 'tombstone' || now.reason !== 'confirmed') return true
        // A double click: both count as long as the other login lives.
        return isLive(await store.read(now.successor, deadline))
      },
      discard: () => sessions.discard(session.key, deadline),
    }
  } catch (error) {
    undo()
    throw error
  }
}

/**
 * A session that becomes somebody else's takes a new id (OWASP ASVS 5.0, V7.2.4), unless its id was made by this very
 * request. Where no id can be delivered any more, a sign-out is stored all the same.
 */
function mustRotate(entry: Entry, { moved, subject }: View): boolean {
  return moved && !entry.fresh && (subject !== undefined || entry.visit.deliverable)
}

/** What was done to a session that could not be read is not kept, and nobody signs in this way. */
function unread(runtime: Runtime, entry: Entry, how: How): boolean {
  const { key, error } = entry.failure as NonNullable<Entry['failure']>
  if (!how.rotate && !how.change && !entry.dirty()) return true
  const undo = how.change && entry.apply(how.change)
  const { moved } = entry.view()
  undo?.()
  if (how.rotate || moved) throw error
  runtime.store.event('dropped', key)
  entry.visit.report(error)
  return false
}

/** Move the times of the session now. Resolves to whether it still lives. */
export async function touch(runtime: Runtime, entry: Entry, deadline: Deadline): Promise<boolean> {
  const { options, sessions, store } = runtime
  const began = Date.now()
  let known: State = entry.known
  for (let lost = 0; ; lost++) {
    if (entry.over || entry.lost) return false
    const { key } = entry
    // Changes of this process that are under way come first.
    const { seen } = await sessions.replace(key, () => undefined, { deadline, known })
    if (entry.over) return false
    if (entry.key !== key) {
      known = entry.known
      continue
    }
    if (!seen && !entry.known) return false
    if (!isLive(seen) || isPast(runtime, seen)) {
      entry.lost = { key, state: seen }
      return false
    }
    const { createdAt, maxAge, record } = seen
    const now = Date.now()
    const times = { seenAt: now, expiresAt: expiry(options, now, createdAt, maxAge) }
    // After a lost race another request may have used it.
    const isUsed = lost > 0 && record.seenAt >= began && record.seenAt <= now
    if (isUsed || (await store.touch(key, times, record.version, deadline))) {
      if (entry.key === key && !entry.over) entry.meet(isUsed ? seen : { ...seen, record: { ...record, ...times } })
      return true
    }
    await pause(lost)
    if (elapsed() >= deadline) throw conflict()
    known = undefined
  }
}

/** Messages that one attempt claims. */
interface Taking extends Attempt {
  readonly values: unknown[]
}

/** Take the flash messages of other requests, by one conditional write that changes nothing else. */
export async function take(runtime: Runtime, entry: Entry, mark: string, deadline: Deadline): Promise<unknown[]> {
  const { codec, options, sessions, store } = runtime
  const { key, known } = entry
  const claimedBy = (state: Stored | null, doubtful: readonly Taking[]) =>
    isLive(state) ? doubtful.find(({ record }) => wasTakenBy(state.texts().taken, record.record.version)) : undefined

  const plan: Plan<Taking> = (now, doubtful) => {
    if (!isLive(now) || isPast(runtime, now) || entry.over || entry.key !== key) return undefined
    const claimed = claimedBy(now, doubtful)
    if (claimed) return claimed
    const { createdAt, maxAge, record } = now
    const texts = now.texts()
    const version = newVersion()
    const { values, ...rest } = claim(codec, texts, mark, version) ?? {}
    if (!values) return undefined
    const parts = { key, createdAt, maxAge, subject: record.subject, ...texts, ...rest }
    return { record: live(options, parts, version), values }
  }

  const { attempt, seen, state, doubtful } = await sessions.replace(key, plan, { deadline, known, owner: entry })
  if (entry.key !== key && !attempt && !entry.over) return take(runtime, entry, mark, deadline)
  const newest = attempt ? state : seen
  if (entry.key === key && !entry.over) {
    if (isLive(newest)) entry.meet(newest)
    else if (attempt) entry.lost = { key, state: newest }
  }
  if (attempt) return attempt.values
  if (doubtful.length === 0 || seen?.kind !== 'tombstone') return []
  // The claim may have been carried to the new id.
  return claimedBy(await store.read(seen.successor, deadline), doubtful)?.values ?? []
}
