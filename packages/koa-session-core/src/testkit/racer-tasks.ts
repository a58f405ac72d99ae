import type { Store, SweepableStore } from '../store.js'
import { sweepDelay } from '../sweep-delay.js'
import type { Progress } from './race-progress.js'
import { advice, agrees, fresh, look, markOf, must, rules, subjectsOf } from './race-records.js'
import { type Place, rivalries } from './rivalries.js'
import { sweptBy } from './sweeping.js'

interface Tasks {
  readonly open: object
  readonly close: object
  readonly canSweep: object
  readonly sweep: object
  readonly read: { readonly key: string }
  readonly create: { readonly key: string; readonly mark: string }
  // These last until the parent sends `stop`.
  readonly raise: { readonly key: string; readonly times: number }
  readonly contend: { readonly key: string }
  readonly own: { readonly key: string; readonly rivalry: keyof typeof rivalries }
  readonly rival: { readonly key: string; readonly rivalry: keyof typeof rivalries }
}

/** A task that the parent sends to a process of the race. */
export type Task = { [Name in keyof Tasks]: Tasks[Name] & { readonly name: Name } }[keyof Tasks]

export type Run<Args> = (store: Store, args: Args, progress: Progress, place: Place) => Promise<unknown>

export const tasks: { readonly [Name in Exclude<keyof Tasks, 'open'>]: Run<Tasks[Name]> } = {
  close: store => store.close(),

  canSweep: async store => 'sweep' in store,

  sweep: store => sweptBy(store as SweepableStore),

  read: async (store, { key }) => markOf(await store.read(key)) ?? null,

  create: (store, { key, mark }) => store.write(key, fresh(mark), null),

  /** Raises a counter by compare-and-set, at least so many times. Resolves to how often. */
  async raise(store, { key, times }, progress) {
    let raised = 0
    for (let lost: string | undefined; raised < times || !progress.isStopped; await progress.turn()) {
      const found = await look(store, key, advice.write)
      must(found !== undefined, rules.lives)
      must(found.version !== lost, rules.wins)
      if (await store.write(key, fresh(Number(markOf(found)) + 1), found.version)) raised++
      else {
        lost = found.version
        progress.meet()
      }
    }
    return raised
  },

  /** Creates a session again and again, as all others do. The one that wins ends it. */
  async contend(store, { key }, progress) {
    const rule = `Exactly one of the processes that create the same session wins, and its record stays: ${advice.create}`
    let hasLost = false
    for (let n = 0; !progress.isStopped; await progress.turn()) {
      const mine = fresh('mine', subjectsOf(key)[n % 2])
      if (!(await store.write(key, mine, null))) {
        hasLost = true
        await progress.wait()
        continue
      }
      if (hasLost) progress.meet()
      hasLost = false
      must((await look(store, key, advice.create))?.version === mine.version, rule)
      if (n % 8 === 0) await agrees(store, key, advice.create)
      if (n++ % 2) await store.destroy(key)
      else must(await store.write(key, fresh('mine', undefined, -2 * sweepDelay), mine.version), rule)
    }
  },

  /** Resolves to the number of lives. */
  async own(store, { key, rivalry }, progress) {
    let n = 0
    for (; !progress.isStopped; n++, await progress.turn()) await rivalries[rivalry].own(store, key, n, progress)
    return n
  },

  rival: (store, { key, rivalry }, progress, place) => rivalries[rivalry].rival(store, key, progress, place),
}
