import type { Entry, View } from './entry.js'
import type { Deadline } from './guarded-store.js'
import { newId } from './id.js'
import { isLive, type Plan } from './ledger.js'
import { type Live, tombstone } from './record.js'
import { isWithheld } from './restriction.js'
import type { Runtime } from './runtime.js'
import type { SessionData } from './session.js'

export interface How {
  readonly deadline: Deadline
  /** Change the id also where nothing else changed. */
  readonly rotate?: boolean
  /** Applied to the newest data, and again after each lost race. */
  readonly change?: (data: SessionData) => unknown
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
    if (!wins) {
      runtime.store.event('dropped', entry.lost.key)
      return false
    }
    entry.startOver()
  }
  const { restriction } = entry.visit
  if (restriction && isWithheld(restriction, entry, how)) {
    runtime.store.event('dropped', entry.key)
    entry.visit.advise(restriction)
    return false
  }
  if (how.rotate && !entry.known) return rotateNew(runtime, entry, how)
  return replace(runtime, entry, how)
}

async function replace(runtime: Runtime, entry: Entry, how: How): Promise<boolean> {
  const { ledger, store } = runtime
  const { deadline } = how
  const { key } = entry
  let looked = how.change ? undefined : entry.view()
  if (looked && !looked.dirty && !how.rotate) return true
  let undo: (() => void) | undefined
  let next: Live | undefined
  let successor: string | undefined
  let sent = 0

  const plan: Plan = async now => {
    if (next && successor) {
      // The race for the old record was lost: nobody can know the copy's id, and nobody shall.
      successor = undefined
      await store.destroy(next.key, deadline)
    }
    undo?.()
    undo = undefined
    if (entry.over || entry.key !== key || (entry.known && !isLive(now))) return undefined
    if (isLive(now)) entry.adopt(now)
    if (how.change) undo = entry.apply(how.change)
    const view = looked ?? entry.view()
    const rotate = entry.known !== null && (how.rotate || mustRotate(entry, view))
    if (!rotate && !view.dirty) return undefined
    if (rotate || !entry.known) entry.visit.assertDeliverable()
    sent = entry.queued.length
    if (!rotate) {
      next = entry.compose(key, view)
      return next
    }
    const id = newId()
    next = entry.compose(runtime.options.transport.keyOf(id), view)
    if (!(await ledger.write(next, null, deadline))) throw new Error('a new session id was already taken')
    successor = id
    return tombstone(key, next.key, false)
  }

  try {
    const isNew = !entry.known
    const settling = ledger.replace(key, entry.known, plan, deadline)
    // Unless others are in the queue, the plan has begun; any later one looks again.
    looked = undefined
    const { state, written } = await settling
    if (written && next) {
      stored(entry, next, sent)
      if (successor) entry.moveTo(successor)
      if (successor) store.event('rotated', key)
      else if (isNew) store.event('created', key)
      return true
    }
    if (entry.over) return false
    if (entry.key === key) {
      if (isLive(state) || !entry.known) return true
      entry.lost = { key, state }
    }
  } catch (error) {
    undo?.()
    // Whether the old record gave way or not, the client never hears of the copy.
    if (next && successor) await store.destroy(next.key, deadline).catch(() => {})
    throw error
  }
  return commit(runtime, entry, how)
}

function stored(entry: Entry, next: Live, sent: number): void {
  entry.known = next
  entry.createdAt = next.createdAt
  if (entry.newMaxAge === next.maxAge) entry.newMaxAge = undefined
  entry.queued.splice(0, sent)
}

/**
 * A session that becomes somebody else's takes a new id (OWASP ASVS 5.0, V7.2.4), unless its id was made by this very
 * request. Where no id can be delivered any more, a sign-out is stored all the same.
 */
function mustRotate(entry: Entry, { moved, subject }: View): boolean {
  return moved && !entry.fresh && (subject !== undefined || entry.visit.deliverable)
}

/** A session that was never stored: with data, it is stored first, so that a tombstone that names it stays true. */
async function rotateNew(runtime: Runtime, entry: Entry, how: How): Promise<boolean> {
  if (!entry.dirty()) {
    if (!entry.visit.hasLeft) entry.moveTo(newId())
    return true
  }
  const saved = await replace(runtime, entry, { deadline: how.deadline })
  return saved && replace(runtime, entry, how)
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
