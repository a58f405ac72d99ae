import { hkdfSync, randomBytes } from 'node:crypto'
import type { Context } from 'koa'
import type { Adopted, AdoptOptions } from './adopt-options.js'
import { hasProperties, kindOf } from './check.js'
import type { Deadline } from './deadlines.js'
import type { Engine } from './engine.js'
import { failure, isSessionError, SessionError } from './errors.js'
import { newVersion } from './id.js'
import { newSession } from './new-session.js'
import { checkMaxAge } from './options.js'
import { isLive, type Live, type Stored, type Tombstone } from './record.js'
import type { RequestOptions } from './request-session.js'
import { isReserved } from './session.js'
import { limitSessions } from './session-limit.js'
import { within } from './waiting.js'

/** The session that took over an old one. */
export interface Successor {
  readonly id: string
  /** A tombstone if it went on under another id, which this client may have been told meanwhile. */
  readonly state: Live | Tombstone
}

/** A mark is kept this many milliseconds longer than `from` is asked, because clocks differ. */
const margin = 3_600_000

/*
 * A mark, under a key made from the credential, says that the old session was taken over, and lasts until `from` is not asked any
 * more: a session that ended must not begin again. It holds a random text. Credential and text together give the id of the
 * session, so that parallel requests end in one. Only who has the credential and can read the store can compute the id.
 */
const markLine = /^2;([\w-]{22})$/

/**
 * Take over what another library kept for the visitor. `undefined`: nothing, or a session that has ended since it was taken over.
 * Rejects with a `SessionError` if a store fails.
 */
export async function adopt(
  engine: Engine,
  { from, until }: AdoptOptions,
  ctx: Context,
  requests: RequestOptions,
  report: (error: unknown) => void,
): Promise<Successor | undefined> {
  if (Date.now() >= until.getTime()) return undefined
  const { options, sessions, store } = engine
  const deadline = store.deadline()
  const old = await asked(from, ctx, store.storeTimeout)
  if (old === undefined) return undefined
  const { credential } = old
  const mark = options.keyOf(`adopted ${credential}`)
  let salt = await saltIn(engine, mark, deadline)
  if (salt === undefined) {
    salt = randomBytes(16).toString('base64url')
    const id = idOf(credential, salt)
    const { state } = newSession(engine, requests, report, old.data, { id, maxAge: old.maxAge })
    // The session first: a mark without its session would sign the visitor out.
    if (!(await sessions.write(state, null, deadline))) throw new Error('a new session id was already taken')
    if (await sessions.write(marked(mark, salt, until), null, deadline)) {
      store.event('created', state.key)
      await limitSessions(engine, state, deadline).catch(report)
      return { id, state }
    }
    await sessions.discard(state.key, deadline)
    salt = await saltIn(engine, mark, deadline)
  }
  if (salt === undefined) return undefined
  const id = idOf(credential, salt)
  const state = await store.read(options.keyOf(id), deadline)
  return isLive(state) || state?.kind === 'tombstone' ? { id, state } : undefined
}

/** HKDF (RFC 5869) of the credential. */
const idOf = (credential: string, salt: string): string =>
  Buffer.from(hkdfSync('sha256', credential, salt, 'koa-session-core id', 32)).toString('base64url')

async function saltIn({ store }: Engine, mark: string, deadline: Deadline): Promise<string | undefined> {
  const found = await store.read(mark, deadline)
  return found ? markLine.exec(String(found.record.data))?.[1] : undefined
}

function marked(key: string, salt: string, until: Date): Stored {
  const times = { expiresAt: until.getTime() + margin, seenAt: Date.now() }
  return { kind: 'unreadable', key, record: { data: `2;${salt}`, ...times, version: newVersion() } }
}

/** Its answer, checked. */
async function asked(from: AdoptOptions['from'], ctx: Context, timeout: number): Promise<Adopted | undefined> {
  const late = () =>
    new SessionError('ERR_SESSION_TIMEOUT', `option adopt: from did not end within storeTimeout (${timeout} ms)`)
  let old: unknown
  try {
    old = await within(timeout, from(ctx), late)
  } catch (error) {
    if (isSessionError(error)) throw error
    const { reason, cause } = failure(error, undefined)
    throw new SessionError('ERR_SESSION_STORE', `option adopt: from failed: ${reason}`, cause)
  }
  if (old === undefined || old === null) return undefined
  const { credential, data, maxAge } = Object(old) as Partial<Adopted>
  if (typeof credential !== 'string' || credential === '') {
    throw new TypeError(`option adopt: from must return credential, a non-empty string, got ${kindOf(credential)}`)
  }
  if (!hasProperties(data)) {
    throw new TypeError(`option adopt: from must return data, an object, got ${kindOf(data)}`)
  }
  const member = Object.keys(data).find(isReserved)
  if (member !== undefined) {
    throw new TypeError(
      `option adopt: from returned data with the key ${member}, which is a member of every session; rename it in from`,
    )
  }
  if (maxAge !== undefined) checkMaxAge('option adopt: maxAge', maxAge)
  return old as Adopted
}
