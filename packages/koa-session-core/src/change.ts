import type { DataText } from './data.js'
import type { Deadline } from './deadlines.js'
import type { Draft, View } from './draft.js'
import type { Engine } from './engine.js'
import type { Queued } from './flash-queue.js'
import { newId } from './id.js'
import type { Attempt, Refusal } from './plan.js'
import { isLive, isPast, type Live, type Stored, type Tombstone, tombstone } from './record.js'
import type { Restriction } from './restriction.js'
import type { SaveOptions } from './session.js'

/** The request as a commit sees it, and the response that may carry a new id. */
export interface Client {
  readonly restriction: Restriction | undefined
  /** Whether there is a way to hand out an id. */
  readonly deliverable: boolean
  /** Whether this request destroyed a session. */
  readonly hasLeft: boolean
  /** Whether it did so by `regenerate` last. */
  readonly hasRegenerated: boolean
  /** Throws ERR_SESSION_HEADERS_SENT, or a `TypeError` where there never is a response. */
  assertDeliverable(): void
  report(error: unknown): void
}

export interface How extends SaveOptions {
  readonly deadline: Deadline
  readonly client: Client
  /** The session is one that `revokeAll`, which is running, spares. */
  readonly spared?: boolean
  /** No other operation of the request creates the session meanwhile. */
  readonly inTurn?: boolean
}

/** The next state of a session, as one attempt would store it. */
export interface Change extends Attempt {
  /** The session itself. `record` is a tombstone if the session changes its id. */
  readonly session: Live
  /** The new id, if the session changes it. */
  readonly id?: string | undefined
  /** The flash messages that go along. */
  readonly queued: readonly Queued[]
  /** The data, if they are those of the user's object. */
  readonly data: DataText | undefined
  /** The keys that the request changed, if the user's object does not show yet what others did. */
  readonly mine: readonly string[] | undefined
  /** Whether this makes one session more of its subject, where their number is limited. */
  readonly isOneMore: boolean
}

/** The tombstone to confirm where a session is stored in place of one that ended. */
export interface Confirmation {
  readonly tombstone: Tombstone
  /** Whether the request signed somebody in. */
  readonly isLogin: boolean
}

/** The newest state of the session that a change applies to: `null` for a new one, `undefined` when there is none. */
function baseOf(
  { options }: Engine,
  draft: Draft,
  now: Stored | null,
  confirms: Confirmation | undefined,
): Live | null | undefined {
  if (confirms) {
    if (draft.known || now?.kind !== 'tombstone' || !now.login) return undefined
    const { record, successor } = confirms.tombstone
    const isOurs = now.record.version === record.version || (now.reason === 'revoked' && now.successor === successor)
    return confirms.isLogin || now.reason === 'confirmed' || isOurs ? null : undefined
  }
  if (now) return isLive(now) && !isPast(options, now) ? now : undefined
  return draft.known ? undefined : null
}

/**
 * Apply the draft to the newest record under `key`. `undefined`: there is nothing to write, or no session to write to.
 * With `confirms`, `now` is the tombstone to confirm. `given` is the draft's view of `now`, if the caller has it.
 */
export function changeOf(
  engine: Engine,
  draft: Draft,
  how: How,
  key: string,
  now: Stored | null,
  confirms?: Confirmation,
  given?: View,
): Change | undefined {
  const { change, client } = how
  if (draft.isLeft || draft.key !== key) return undefined
  const newest = baseOf(engine, draft, now, confirms)
  if (newest === undefined) return undefined
  const hide = change && newest !== draft.known ? draft.show(newest) : undefined
  let revert: (() => void) | undefined
  const undo = () => {
    revert?.()
    hide?.()
  }
  try {
    revert = change && draft.apply(change)
    const isShown = change !== undefined || newest === draft.known
    const view = given ?? draft.view(newest, isShown)
    const rotates = newest !== null && (how.rotate === true || mustRotate(draft, view, client))
    const isRevoked = confirms && now?.kind === 'tombstone' && now.reason === 'revoked' && draft.had(view.subject)
    if (!isRevoked && change && !rotates && !view.dirty && !confirms) {
      // The session is as it is stored, or empty and not stored yet: there is nothing to write, and nothing to revert.
      if (newest === null) return undefined
      return { record: newest, session: newest, queued: [], data: undefined, mine: undefined, isOneMore: false, undo }
    }
    if (isRevoked || (!rotates && !view.dirty)) {
      undo()
      return undefined
    }
    if (rotates || !draft.known) client.assertDeliverable()
    const { maxSessionsPerSubject } = engine.options
    const isOneMore = maxSessionsPerSubject !== Number.POSITIVE_INFINITY && draft.authenticates(view)
    const id = rotates ? newId() : undefined
    const session = draft.compose(id === undefined ? key : engine.options.keyOf(id), view, newest)
    // The last commit of a request compares no more.
    const data = draft.bag && isShown && !given ? view.data.follow(draft.bag) : undefined
    const parts = { session, queued: [...draft.queued], data, mine: view.mine, isOneMore }
    if (!rotates && !confirms) return { record: session, ...parts, undo: change && undo }
    return {
      record: confirms
        ? tombstone(confirms.tombstone.key, key, 'confirmed')
        : tombstone(key, session.key, view.moved ? 'subject' : 'rotation'),
      ...parts,
      id,
      undo,
      prepare: () => storeAhead(engine, draft, how, session, newest, now, confirms),
      discard: () => engine.sessions.discard(session.key, how.deadline),
    }
  } catch (error) {
    undo()
    throw error
  }
}

/** Create the record under the new key, before the write decides that ends the old one. */
async function storeAhead(
  { revocations, sessions, store }: Engine,
  draft: Draft,
  { deadline, spared }: How,
  session: Live,
  newest: Live | null,
  now: Stored | null,
  confirms: Confirmation | undefined,
): Promise<Refusal | undefined> {
  const { subject } = session.record
  if (subject !== undefined) {
    // A session that has its subject already, which did not sign in just now.
    const same = newest?.record.subject === subject ? newest : null
    const known = confirms ? draft.had(subject) && draft.origin : same
    if (spared && known) await revocations.spare(subject, known.key, session.key)
    await create()
    // From here on a listing meets it. So `revokeAll`, if it has not begun before, ends it.
    const verdict = known ? await revocations.verdict(subject, known, deadline) : undefined
    if (verdict === 'ends' || (verdict === 'spared' && !spared && !confirms)) return verdict
  } else await create()
  if (confirms?.isLogin !== false || now?.kind !== 'tombstone' || now.reason !== 'confirmed') return undefined
  // A double click: both count as long as the other login lives.
  return isLive(await store.read(now.successor, deadline)) ? undefined : 'superseded'

  async function create() {
    if (!(await sessions.write(session, null, deadline))) throw new Error('a new session id was already taken')
  }
}

/**
 * A session that becomes somebody else's takes a new id (OWASP ASVS 5.0, V7.2.4), unless its id was made by this very
 * request. Where no id can be delivered any more, a sign-out is stored all the same.
 */
function mustRotate(draft: Draft, { moved, subject }: View, client: Client): boolean {
  return moved && !draft.fresh && (subject !== undefined || client.deliverable)
}
