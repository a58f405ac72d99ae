import type { Deadline } from './deadlines.js'
import type { Draft } from './draft.js'
import type { Engine } from './engine.js'
import { expiry, isLive, isPast, type State } from './record.js'
import { conflict, pause } from './retry.js'
import { elapsed } from './waiting.js'

/** Move the times of the session now. Resolves to whether it still lives. */
export async function touch(engine: Engine, draft: Draft, deadline: Deadline): Promise<boolean> {
  const { options, sessions, store } = engine
  const began = Date.now()
  let known: State = draft.known
  for (let lost = 0; ; lost++) {
    if (draft.isLeft || draft.isGone) return false
    const { key } = draft
    // Changes of this process that are under way come first.
    const { seen } = await sessions.replace(key, () => undefined, { deadline, known })
    if (draft.isLeft) return false
    if (draft.key !== key) {
      known = draft.known
      continue
    }
    if (!seen && !draft.known) return false
    if (!isLive(seen) || isPast(options, seen)) {
      draft.lose(key, seen)
      return false
    }
    const { createdAt, maxAge, record } = seen
    const now = Date.now()
    const times = { seenAt: now, expiresAt: expiry(options, now, createdAt, maxAge) }
    // After a lost race another request may have used it.
    const isUsed = lost > 0 && record.seenAt >= began && record.seenAt <= now
    const before = draft.known
    if (lost > 0 && !isUsed && elapsed() >= deadline) throw conflict()
    if (isUsed || (await store.touch(key, times, record.version, deadline))) {
      // Another operation of the request may have met a newer state while the store answered.
      const isNewest = draft.known === before && draft.key === key
      if (isNewest && !draft.isLeft) draft.meet(isUsed ? seen : { ...seen, record: { ...record, ...times } })
      return true
    }
    await pause(lost)
    if (elapsed() >= deadline) throw conflict()
    known = undefined
  }
}
