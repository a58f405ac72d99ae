import { type Confirmation, changeOf, type How } from './change.js'
import { destroy } from './destroy.js'
import type { Draft, View } from './draft.js'
import type { Engine } from './engine.js'
import type { SessionError } from './errors.js'
import { newId } from './id.js'
import { isLive, isPast, type Live, type State, type Stored, type Tombstone } from './record.js'
import { adviceOn, type Restriction } from './restriction.js'
import { limitSessions } from './session-limit.js'

/** Store what a request made of its session. Resolves to whether it is stored; `false`: the session was gone. */
export async function commit(engine: Engine, draft: Draft, how: How): Promise<boolean> {
  const { standing } = draft
  const { client } = how
  const isAsked = how.rotate === true || how.change !== undefined
  if (standing.kind === 'left') return false
  if (draft.untouched && !isAsked) return true
  const isCreation = standing.kind === 'new' || standing.kind === 'gone'
  if (isCreation && !how.inTurn) return inTurn(draft, () => commit(engine, draft, { ...how, inTurn: true }))
  if (standing.kind === 'unread') return (!isAsked && !draft.dirty()) || refuse(engine, draft, how, standing)
  if (standing.kind === 'gone') {
    if (!isAsked && !draft.dirty()) return true
    if (!viewed(draft, how).authenticates) return drop(engine, standing.key)
    await supersede(engine, draft, how, standing)
  }
  const { restriction } = client
  if (restriction && isWithheld(engine, draft, how, restriction)) {
    const advice = adviceOn(restriction)
    if (advice) client.report(advice)
    return drop(engine, draft.key)
  }
  if (draft.known) return replace(engine, draft, how)
  if (!how.rotate) return create(engine, draft, how)
  if (draft.dirty()) return (await create(engine, draft, { ...how, rotate: false })) && commit(engine, draft, how)
  if (!client.hasLeft) draft.moveTo(newId())
  return true
}

/**
 * Create the session in one operation of a request at a time. Another one that runs beside it would take the record for that of
 * a stranger, or make it without confirming the tombstone.
 */
async function inTurn(draft: Draft, run: () => Promise<boolean>): Promise<boolean> {
  while (draft.creating) await draft.creating
  const creation = run()
  const over = () => {
    draft.creating = undefined
  }
  draft.creating = creation.then(over, over)
  return creation
}

/** The commit at the end of a request. `undefined`: nothing changed, so there is nothing to wait for. */
export function commitAtEnd(engine: Engine, draft: Draft, how: How): Promise<boolean> | undefined {
  if (draft.untouched) return undefined
  if (draft.standing.kind !== 'stored' || how.client.restriction) return commit(engine, draft, how)
  const view = draft.view()
  return view.dirty ? replace(engine, draft, how, undefined, view) : undefined
}

/** The draft as it would be with the change, which is applied and reverted. */
function viewed(draft: Draft, { change }: How): View & { readonly authenticates: boolean } {
  const revert = change && draft.apply(change)
  try {
    const view = draft.view()
    return { ...view, authenticates: draft.authenticates(view) }
  } finally {
    revert?.()
  }
}

/** Begin a new session for a login, where the session of the request has gone on under another id, or ended. */
async function supersede(
  engine: Engine,
  draft: Draft,
  { deadline }: How,
  { key, state }: { key: string; state: State },
): Promise<void> {
  draft.startOver()
  if (state?.kind !== 'tombstone') return
  // A late answer must not bring back the id that a mere rotation gave. Another login is left alone, and has to learn of this
  // one where it left its sign.
  const { ended, tombstone } = await destroy(engine, key, {
    deadline,
    known: state,
    successor: draft.key,
    spared: 'subject',
  })
  if (tombstone) draft.before = { regenerated: true, ended, tombstone }
}

function drop({ store }: Engine, key: string): false {
  store.event('dropped', key)
  return false
}

/** Whether a commit must not be carried out, because it would give the client another id. */
function isWithheld({ options }: Engine, draft: Draft, how: How, restriction: Restriction): boolean {
  const { authenticates, dirty, moved, subject } = viewed(draft, how)
  if (draft.known) return restriction === 'outside' && (how.rotate === true || (moved && subject !== undefined))
  const signsIn = options.subjectOf ? authenticates : how.client.hasRegenerated
  return dirty && !(restriction === 'cross-site' && signsIn)
}

/**
 * Store a session for the first time. If it took the place of another one and signs nobody in, it must not outlive a logout
 * of that other one: it is stored, and then the write decides that confirms the tombstone, which a logout would end.
 */
async function create(engine: Engine, draft: Draft, how: How): Promise<boolean> {
  const { before } = draft
  if (!before) return replace(engine, draft, how)
  const view = viewed(draft, how)
  // Without the option `subject` every regenerated session counts as a login.
  const isLogin = !engine.options.subjectOf || view.authenticates
  if (!view.dirty) return replace(engine, draft, how)
  const { ended, regenerated, tombstone } = before
  // Under the sign of another login it is unknown whether that signs out, until it is confirmed.
  const isFinal = tombstone
    ? tombstone.reason !== 'confirmed' || view.subject === undefined
    : regenerated || view.subject !== undefined
  if (!isLogin && !ended && isFinal) return lose(engine, draft, tombstone ?? null)
  const isOwn = ended && tombstone?.successor === draft.key
  if (tombstone && !(isLogin && isOwn && !draft.hadSubject)) {
    const confirmed = await replace(engine, draft, how, { tombstone, isLogin })
    if (confirmed || draft.isLeft || draft.isGone) return confirmed
    if (!isLogin) return lose(engine, draft, null)
  }
  return replace(engine, draft, how)
}

function lose(engine: Engine, draft: Draft, state: Tombstone | null): false {
  const key = state?.key ?? draft.key
  draft.lose(key, state)
  return drop(engine, key)
}

/** Write the session, under a new id if it changes that. With `confirms`, the deciding write is one on that tombstone. */
async function replace(
  engine: Engine,
  draft: Draft,
  how: How,
  confirms?: Confirmation,
  given?: View,
): Promise<boolean> {
  const { options, sessions, store } = engine
  const { key, known } = draft
  const plan = (now: Stored | null) => changeOf(engine, draft, how, key, now, confirms)
  const start = confirms?.tombstone ?? known
  const first = changeOf(engine, draft, how, key, start, confirms, given)
  // Nothing to write on top of what this request has read, perhaps something on top of what others stored since.
  const isIdle = first !== undefined && first.record === start
  if (isIdle) first.undo?.()
  const asking = isIdle
    ? { deadline: how.deadline, owner: draft }
    : { deadline: how.deadline, known: start, first, owner: draft }
  const { attempt, seen, state, refusal } = first
    ? await sessions.replace(start?.key ?? key, plan, asking)
    : { seen: start }
  if (attempt) {
    const { session, id, queued, data, mine, isOneMore, record } = attempt
    if (id !== undefined) draft.moveTo(id)
    draft.settle({ next: session, queued, data, mine }, record === session ? (state ?? null) : session)
    if (id !== undefined) store.event('rotated', key)
    else if (!known) store.event('created', key)
    if (isOneMore) await limit(engine, draft, session, how)
    return true
  }
  if (draft.isLeft) return false
  if (refusal === 'spared') return commit(engine, draft, { ...how, spared: true })
  if (draft.key !== key || (!known && draft.known)) return commit(engine, draft, how)
  if (confirms) return false
  if (isLive(seen) && !isPast(options, seen) && refusal !== 'ends') {
    // Nothing is left to write.
    if (seen !== known) draft.meet(seen)
    return true
  }
  if (!known && !seen) return true
  draft.lose(key, seen)
  return commit(engine, draft, how)
}

async function limit(engine: Engine, draft: Draft, session: Live, { client, deadline }: How): Promise<void> {
  const { known } = draft
  try {
    const newest = await limitSessions(engine, session, deadline)
    // Another operation of the request may have met a newer state meanwhile.
    if (newest !== session && draft.known === known && !draft.isLeft) draft.meet(newest)
  } catch (error) {
    // The login is stored. One session too many is no reason to refuse it.
    client.report(error)
  }
}

/** Keep nothing of what was done to a session that could not be read. A login fails: its old session may live. */
function refuse(engine: Engine, draft: Draft, how: How, { key, error }: { key: string; error: SessionError }): false {
  if (how.rotate || viewed(draft, how).moved) throw error
  how.client.report(error)
  return drop(engine, key)
}
