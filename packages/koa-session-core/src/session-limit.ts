import type { Deadline } from './deadlines.js'
import { destroy } from './destroy.js'
import type { Engine } from './engine.js'
import { newVersion } from './id.js'
import { keysOf } from './listing.js'
import { isLive, type Live, type Stored } from './record.js'
import { conflict, pause } from './retry.js'
import { elapsed } from './waiting.js'

/** How often a login that seems the oldest looks again before it makes itself the newest. */
const patience = 2

/**
 * Destroy the least recently used sessions of a subject that has just signed in, if it has too many. Others may do the same at
 * the same time: all use one order, and none destroys a session that no longer stands where it was seen. So of what they
 * destroy, what stands last has as many after it as may live, and none of those was destroyed: never one too many. Resolves to
 * the newest state of the session that signed in.
 */
export async function limitSessions(engine: Engine, login: Live, deadline: Deadline): Promise<Live> {
  const { options, sessions } = engine
  const { key } = login
  const { subject } = login.record
  if (subject === undefined || options.maxSessionsPerSubject === Number.POSITIVE_INFINITY) return login
  let newest = login
  for (let round = 0; ; round++) {
    const all = (await liveSessions(engine, subject, deadline)).sort((a, b) => (isOlder(a, b) ? -1 : 1))
    const excess = all.slice(0, Math.max(0, all.length - options.maxSessionsPerSubject))
    const mine = all.find(each => each.key === key)
    if (excess.length === 0 || !mine) return newest
    if (elapsed() >= deadline) throw conflict()
    if (!excess.includes(mine)) {
      for (const each of excess) {
        // One that was used since, or made itself the newest, counts where it stands now.
        const mayDestroy = (found: Stored) => isLive(found) && found.record.subject === subject && isAt(found, each)
        await destroy(engine, each.key, { deadline, mayDestroy })
      }
    } else if (round < patience) await pause(round + 5)
    else {
      // The others have not seen this login, or have clocks that are ahead.
      const seenAt = Math.max(Date.now(), ...all.map(({ record }) => record.seenAt + 1))
      const plan = (now: Stored | null) =>
        isLive(now) && now.record.subject === subject
          ? { record: { ...now, record: { ...now.record, seenAt, version: newVersion() } } }
          : undefined
      const { attempt } = await sessions.replace(key, plan, { deadline })
      if (!attempt) return newest
      newest = attempt.record
    }
  }
}

async function liveSessions(engine: Engine, subject: string, deadline: Deadline): Promise<Live[]> {
  const keys: string[] = []
  for await (const key of keysOf(engine.store, subject, deadline)) keys.push(key)
  const found = await Promise.all(keys.map(key => engine.store.read(key, deadline)))
  const all = found.filter(isLive).filter(({ record }) => record.subject === subject)
  return all.filter(each => !all.some(other => isCopyOf(each, other)))
}

/** Whether `copy` goes on with `other` under a new id, which other requests are about to learn. The two are one session. */
const isCopyOf = (copy: Live, other: Live): boolean =>
  copy.isCopy && copy.key !== other.key && copy.createdAt === other.createdAt && (!other.isCopy || isOlder(other, copy))

const isAt = (now: Live, then: Live): boolean => now.key === then.key && now.record.seenAt === then.record.seenAt

const isOlder = (a: Live, b: Live): boolean =>
  a.record.seenAt === b.record.seenAt ? a.key < b.key : a.record.seenAt < b.record.seenAt
