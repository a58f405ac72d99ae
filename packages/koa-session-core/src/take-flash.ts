import type { Deadline } from './deadlines.js'
import type { Draft } from './draft.js'
import type { Engine } from './engine.js'
import { claim, wasTakenBy } from './flash-queue.js'
import { newVersion } from './id.js'
import type { Attempt, Plan } from './plan.js'
import { isLive, isPast, live, type Stored } from './record.js'

/** Messages that one attempt claims. */
interface Taking extends Attempt {
  readonly values: unknown[]
}

/** Take the flash messages of other requests, by one conditional write that changes nothing else. */
export async function takeFlash(engine: Engine, draft: Draft, mark: string, deadline: Deadline): Promise<unknown[]> {
  const { options, sessions, store } = engine
  const { codec } = options
  const { key, known } = draft
  const claimedBy = (state: Stored | null, doubtful: readonly Taking[]) =>
    isLive(state) ? doubtful.find(({ record }) => wasTakenBy(state.texts().taken, record.record.version)) : undefined

  const plan: Plan<Taking> = (now, doubtful) => {
    if (!isLive(now) || isPast(options, now) || draft.isLeft || draft.key !== key) return undefined
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

  const { attempt, seen, state, doubtful } = await sessions.replace(key, plan, { deadline, known, owner: draft })
  if (draft.key !== key && !attempt && !draft.isLeft) return takeFlash(engine, draft, mark, deadline)
  const newest = attempt ? state : seen
  if (draft.key === key && !draft.isLeft) {
    if (isLive(newest)) draft.meet(newest)
    else if (attempt) draft.lose(key, newest)
  }
  if (attempt) return attempt.values
  if (doubtful.length === 0 || seen?.kind !== 'tombstone') return []
  // The claim may have been carried to the new id.
  return claimedBy(await store.read(seen.successor, deadline), doubtful)?.values ?? []
}
