import type { Draft } from './draft.js'
import type { Engine } from './engine.js'
import { expiry, type Live } from './record.js'
import type { Reply } from './reply.js'
import { turn } from './turn.js'
import { elapsed } from './waiting.js'

/** For how many milliseconds a session that was read is taken to live, where the store cannot be asked. */
const certainFor = 3_000

/** Moves the times of a session that was not used for a while. */
export interface KeepAlive {
  /** A touch that runs beside the handler. It never rejects. */
  readonly touching?: Promise<void>
  /** The times move when the handler has ended, and the cookie's term with them. */
  readonly isDue?: true
  /** Stop watching the session. */
  readonly stop?: () => void
}

/** `undefined`: the session was used a moment ago. */
export function keepAlive(
  { options, sessions, store }: Engine,
  touchInterval: number,
  draft: Draft,
  { createdAt, maxAge, record, key }: Live,
  reply: Reply | undefined,
  report: (error: unknown) => void,
): KeepAlive | undefined {
  const now = Date.now()
  const interval = maxAge === 'session' ? touchInterval : Math.min(touchInterval, maxAge / 10)
  // A clock may have been wrong before, in either direction.
  const expiresAt = expiry(options, now, createdAt, maxAge)
  if (Math.abs(now - record.seenAt) <= interval && record.expiresAt <= expiresAt + interval) return undefined
  if (createdAt > now + interval) {
    draft.isMisdated = true
    return undefined
  }
  if (maxAge !== 'session') return renewLater()
  const times = { seenAt: now, expiresAt }
  const moved = (isDone: boolean) => {
    const { known } = draft
    if (isDone && known?.record.version === record.version)
      draft.meet({ ...known, record: { ...known.record, ...times } })
  }
  return { touching: store.touch(key, times, record.version).then(moved, report) }

  /**
   * If the app writes the response itself before the handler has ended, the cookie is renewed by what is known then: the store
   * had the session a moment ago, and nothing in this process has ended it or changed its id since.
   */
  function renewLater(): KeepAlive {
    const readAt = elapsed()
    let isOver = false
    const stop = sessions.watch(key, () => {
      isOver = true
    })
    reply?.ifEarly(() => {
      const { known } = draft
      if (isOver || !known || draft.isGone || draft.isLeft || draft.key !== key) return
      if (elapsed() - readAt > certainFor && draft.provenIn !== turn()) return
      const { createdAt, maxAge } = known
      try {
        reply.deliver({ id: draft.id, maxAge, expiresAt: expiry(options, Date.now(), createdAt, maxAge) })
      } catch (error) {
        report(error)
      }
    })
    return { isDue: true, stop }
  }
}
