import type { Store, SweepableStore } from '../store.js'
import { sweepDelay } from '../sweep-delay.js'
import { elapsed } from '../waiting.js'
import { withFastClock } from './clock.js'
import type { Progress } from './race-progress.js'
import {
  advice,
  agrees,
  BrokenRule,
  fresh,
  keysOf,
  look,
  markOf,
  must,
  otherSubject,
  rules,
  subjectsOf,
  timesOf,
} from './race-records.js'
import { newKey } from './world.js'

/** The number of a process in its race, and how many there are. */
export interface Place {
  readonly rank: number
  readonly size: number
}

interface Rivalry {
  /** One life of the session, by the only process that creates it. `n` counts the lives. */
  own(store: Store, key: string, n: number, progress: Progress): Promise<void>
  /** The work of all other processes meanwhile, until they are stopped. */
  rival(store: Store, key: string, progress: Progress, place: Place): Promise<unknown>
}

const isCreated = 'A session can be created where none lives'

const staysGone = (what: string) => `A session that has ended stays gone, whatever other processes ${what} meanwhile`

const held = 'held-'

const write: Rivalry = {
  async own(store, key, n, progress) {
    const hint = advice.write
    const isGone = `${staysGone('write')}: ${hint}`
    const first = fresh(n, subjectsOf(key)[n % 2])
    must(await store.write(key, first, null), isGone)

    const current = async () => {
      const found = await look(store, key, hint)
      must(found !== undefined, rules.lives)
      must(markOf(found)?.replace(held, '') === `${n}`, isGone)
      return found
    }
    const replace = async (mark: string, lifetime?: number) => {
      for (;;) {
        const found = await current()
        const next = fresh(mark, otherSubject(key, found), lifetime)
        if (await store.write(key, next, found.version)) return next
        await progress.turn()
      }
    }

    for (let times = 0; times < 100 && (await current()).version === first.version; times++) await progress.wait()
    if ((await current()).version !== first.version) progress.meet()
    await agrees(store, key, hint)
    if (n % 2) {
      // Rivals leave a held record alone, so that it shows what a write does after it has replaced the record.
      const last = await replace(`${held}${n}`)
      for (let times = 0; times < 2; times++) {
        await progress.wait()
        await agrees(store, key, hint)
      }
      must(await store.write(key, fresh(n), last.version), `${rules.wins}: ${hint}`)
    }
    if (n % 4 < 2) await store.destroy(key)
    else await replace(`${n}`, -1)
    must((await look(store, key, hint)) === undefined, `${isGone}, and destroy must not give way to it`)
    if (n % 4 === 0) await agrees(store, key, hint)
  },

  async rival(store, key, progress) {
    for (let n = 0, lost: string | undefined; !progress.isStopped; n++, await progress.turn()) {
      const found = await look(store, key, advice.write)
      const mark = markOf(found)
      if (!found || !mark || mark.startsWith(held)) {
        await progress.wait()
        continue
      }
      must(found.version !== lost, rules.wins)
      if (!(await store.write(key, fresh(mark, subjectsOf(key)[n % 2]), found.version))) lost = found.version
    }
  },
}

const touch: Rivalry = {
  async own(store, key, n) {
    const hint = advice.touch
    let stored = fresh(n, subjectsOf(key)[0])
    must(await store.write(key, stored, null), `${staysGone('touch')}: ${hint}`)
    const replace = async (lifetime?: number) => {
      const next = fresh(n, otherSubject(key, stored), lifetime)
      if (!(await store.write(key, next, stored.version))) {
        const isStored = (await store.read(key))?.version === stored.version
        const why = isStored ? 'write must compare the version and nothing else' : hint
        throw new BrokenRule(`A write at the stored version wins, whatever other processes touch meanwhile: ${why}`)
      }
      stored = next
    }
    for (let times = 0; times < 3; times++) await replace()
    const found = await look(store, key, hint)
    must(found?.version === stored.version, `A written record stays, whatever other processes touch meanwhile: ${hint}`)
    if (n % 8 === 0) await agrees(store, key, hint)
    if (n % 2) await store.destroy(key)
    else await replace(-1)
    must((await store.read(key)) === undefined, `${staysGone('touch')}: ${hint}`)
  },

  async rival(store, key, progress, { rank, size }) {
    for (let n = 0, lost: string | undefined; !progress.isStopped; n++) {
      const began = elapsed()
      const found = await look(store, key, advice.touch)
      if (!found) {
        await progress.wait()
        continue
      }
      must(found.version !== lost, 'A touch at the stored version is true, whatever other processes touch meanwhile')
      // No two touches are the same.
      if (await store.touch(key, timesOf(Date.now() + n * size + rank), found.version)) {
        await progress.wait(began)
        continue
      }
      lost = found.version
      progress.meet()
      await progress.turn()
    }
  },
}

const destroy: Rivalry = {
  async own(store, key, n, progress) {
    const hint = advice.destroy
    let stored = fresh(n, subjectsOf(key)[0])
    must(await store.write(key, stored, null), `${isCreated}: ${hint}`)
    // The destroy that ended the session before may still have something to do.
    for (let times = 0; times < 3; times++) await progress.wait()
    await agrees(store, key, hint)
    for (;;) {
      const next = fresh(n, n % 2 ? stored.subject : otherSubject(key, stored))
      if (!(await store.write(key, next, stored.version))) break
      stored = next
      await progress.turn()
      if (progress.isStopped) await store.destroy(key)
    }
    progress.meet()
    if (n % 2) return
    must((await store.read(key)) === undefined, `${rules.wins}, or the session is gone: ${advice.write}`)
    await agrees(store, key, hint)
  },

  async rival(store, key, progress, { rank, size }) {
    for (let seen = 0; !progress.isStopped; await progress.wait()) {
      const found = await look(store, key, advice.destroy)
      // They take turns, and take their time, so that it shows what a destroy does after it has deleted the record.
      if (!found || Number(markOf(found)) % (size - 1) !== rank - 1 || ++seen % 6) continue
      await store.destroy(key)
      const after = await look(store, key, advice.destroy)
      must(markOf(after) !== markOf(found), `${staysGone('write')}: ${advice.destroy}`)
    }
  },
}

/** Two keys, so that a sweep has something to do between finding one and deleting it. */
const pairOf = (key: string) => [`${key.slice(0, -1)}0`, `${key.slice(0, -1)}1`]

/** Creates a session that has expired two hours ago, as if that had been three hours ago. */
const createLongAgo = (store: Store, key: string, subject?: string): Promise<boolean> =>
  withFastClock(-3 * sweepDelay, () => store.write(key, fresh('expired', subject), null))

const sweep: Rivalry = {
  async own(store, key, n, progress) {
    const hint = advice.sweep
    const pair = pairOf(key)
    const [subject] = subjectsOf(key)
    const began = elapsed()
    for (const each of pair) must(await createLongAgo(store, each, subject), isCreated)
    // Now sooner, now later, so that a sweep is under way.
    if (n % 4 === 3) for (const end = 2 * elapsed() - began; elapsed() < end; ) await progress.wait()
    const versions: string[] = []
    for (const each of pair) {
      const record = fresh(n, subject)
      must(await store.write(each, record, null), `${isCreated}, also over an expired one: ${hint}`)
      versions.push(record.version)
    }
    const listed = await keysOf(store, subject)
    const rule =
      'A session that was created over an expired one stays, whatever other processes sweep and read meanwhile'
    for (const [at, each] of pair.entries()) {
      must((await look(store, each, hint))?.version === versions[at], `${rule}: ${hint}`)
    }
    must(!listed || pair.every(each => listed.includes(each)), `${rule}, and keys yields it: ${advice.index}`)
    for (const each of pair) await store.destroy(each)
    if (!('sweep' in store)) progress.meet()
  },

  async rival(store, key, progress, { rank, size }) {
    const { sweep } = store as Partial<SweepableStore>
    const none = fresh('none')
    const others: ((key: string) => Promise<unknown>)[] = [
      each => store.touch(each, timesOf(Date.now()), none.version),
      each => store.write(each, none, none.version),
      () => keysOf(store, subjectsOf(key)[0]),
    ]
    for (let n = 0, began = elapsed(); !progress.isStopped; n++, await progress.wait(began)) {
      began = elapsed()
      // One only sweeps, one does all else, and any others do both.
      if (rank !== 1 || size === 2) {
        const each = pairOf(key)[n % 2] ?? key
        await store.read(each)
        await others[n % others.length]?.(each)
      }
      if (sweep && rank !== 2 && (await sweep.call(store)) > 0) progress.meet()
    }
  },
}

const count: Rivalry = {
  async own(store, _key, _n, progress) {
    must(await createLongAgo(store, newKey()), isCreated)
    await progress.wait()
  },

  /** Resolves to the number of sessions it deleted. */
  async rival(store, _key, progress) {
    let swept = 0
    for (; !progress.isStopped; await progress.turn()) {
      const count = await (store as SweepableStore).sweep()
      if (count > 0) progress.meet()
      swept += count
    }
    return swept
  },
}

/** While one process creates, changes and ends one session after another, all others do something to it. */
export const rivalries = { write, touch, destroy, sweep, count }
