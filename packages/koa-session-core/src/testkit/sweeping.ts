import type { SweepableStore } from '../store.js'
import { sweepDelay } from '../sweep-delay.js'
import { followsClock, withFastClock } from './clock.js'
import { created, holds, is, lists } from './expectations.js'
import { atOnce, type Case, newKey, newRecord, pick, type World } from './world.js'

/** Lifetime of the sessions to be swept, in milliseconds. Longer than any case. */
const life = 300_000

const brief = () => newRecord({ expiresAt: Date.now() + life })
const lasting = () => newRecord({ expiresAt: Date.now() + 24 * sweepDelay, subject: newKey() })

/** Runs `use` as if sessions made by `brief` had expired an hour ago. Skips `use` if the store has a clock of its own. */
async function whenSweepable(store: SweepableStore, use: () => Promise<void>): Promise<void> {
  const key = newKey()
  await created(store, key, brief())
  const isDue = await followsClock(store, key, life)
  await store.destroy(key)
  if (isDue) await withFastClock(life + sweepDelay + 1, use)
}

export const sweepingCases: Case[] = [
  {
    title: 'sweep deletes what expired an hour ago, says how many, and spares the live',
    needs: 'sweep',
    async run(world) {
      const store = await world.openSweepable()
      is(await store.sweep(), 0, 'There is nothing to sweep in an empty world')
      const live = [newKey(), newKey(), newKey()]
      const records = await atOnce(3, n => created(store, pick(live, n), lasting()))
      await atOnce(5, () => created(store, newKey(), brief()))
      is(await store.sweep(), 0, 'Live sessions are not swept')
      await whenSweepable(store, async () => {
        is(await store.sweep(), 5, 'sweep resolves to the number of sessions it deleted')
        is(await store.sweep(), 0, 'A second sweep finds nothing')
      })
      for (const [n, key] of live.entries()) await holds(store, key, records[n], 'A live session is spared as it is')
    },
  },
  {
    title: 'sweep goes by the expiry that a touch or write gave last, later or earlier',
    needs: 'sweep',
    async run(world) {
      const store = await world.openSweepable()
      const began = Date.now()
      const [longer, shorter] = [began + 24 * sweepDelay, began + life]
      for (const expiresAt of [longer, shorter]) {
        const times = { seenAt: Date.now(), expiresAt }
        const before = () => newRecord({ expiresAt: expiresAt === longer ? shorter : longer })
        const [touched, written] = [newKey(), newKey()]
        const record = await created(store, touched, before())
        is(await store.touch(touched, times, record.version), true, 'A touch at the stored version is true')
        const { version } = await created(store, written, before())
        is(await store.write(written, newRecord(times), version), true, 'A write at the stored version is true')
        if (expiresAt === shorter) continue
        await whenSweepable(store, async () => {
          const rule = 'A session that was touched or written in time is not swept: what sweep goes by moves with it'
          is(await sweptBy(store), 0, rule)
          await holds(store, touched, { ...record, ...times }, rule)
        })
      }
      await whenSweepable(store, async () => {
        is(
          await sweptBy(store),
          2,
          'A session that a touch or write made shorter is swept an hour after its new expiry',
        )
        const swept = await withFastClock(longer - began + sweepDelay + 1, () => sweptBy(store))
        is(swept, 2, 'A session that a touch or write made longer is swept an hour after its new expiry')
      })
    },
  },
  {
    title: 'a clock that is fast ends no session for good: once it is right again, the session is there',
    async run(world) {
      const store = await world.open()
      const [key, subject] = [newKey(), newKey()]
      const record = await created(store, key, newRecord({ expiresAt: Date.now() + life, subject }))
      if (!(await followsClock(store, key, life))) return
      await withFastClock(life + 0.9 * sweepDelay, async () => {
        await holds(store, key, undefined, 'By the clock of the caller the session has expired')
        const times = { seenAt: Date.now(), expiresAt: Date.now() + life }
        is(await store.touch(key, times, record.version), false, 'A touch of an expired session is false')
        is(await store.write(key, newRecord(), record.version), false, 'A write at its version is false')
        const other = newKey()
        await created(store, other, newRecord({ subject }))
        if (world.capabilities.includes('keys'))
          await lists(await world.openEnumerable(), subject, [other], 'Only the live session is listed')
        if (world.capabilities.includes('sweep')) {
          is(await (await world.openSweepable()).sweep(), 0, 'It is not swept: it expired less than an hour ago')
        }
        await store.destroy(other)
      })
      await holds(store, key, record, 'The session lives, and another clock has not ended it')
      if (world.capabilities.includes('keys'))
        await lists(await world.openEnumerable(), subject, [key], 'It is listed again')
    },
  },
  {
    title: 'sweeping on until it says 0 deletes more than a thousand expired sessions',
    needs: 'sweep',
    async run(world) {
      const store = await world.openSweepable()
      const key = newKey()
      const live = await created(store, key, lasting())
      await atOnce(20, async () => {
        for (let n = 0; n < 53; n++) await created(store, newKey(), brief())
      })
      await whenSweepable(store, async () => {
        is(await sweptBy(store), 1_060, 'Batches are bounded, but each call goes on where the last one stopped')
      })
      await holds(store, key, live, 'The live session is spared')
    },
  },
  {
    title: 'sweeps at the same time count each expired session once',
    needs: 'sweep',
    async run(world) {
      const stores = await openThree(world)
      const [store] = stores
      await atOnce(30, () => created(store, newKey(), brief()))
      await whenSweepable(store, async () => {
        const swept = await Promise.all(stores.map(sweptBy))
        const all = swept.reduce((sum, each) => sum + each)
        is(all, 30, 'A session is counted by the sweep that deleted it')
      })
    },
  },
  {
    title: 'a session created over an expired one survives a sweep at the same time',
    needs: 'sweep',
    async run(world) {
      const [store, sweeper] = await openThree(world)
      const keys = Array.from({ length: 48 }, newKey)
      await atOnce(48, n => created(store, pick(keys, n), brief()))
      await whenSweepable(store, async () => {
        for (let first = 0; first < keys.length; first += 12) {
          const records = Array.from({ length: 12 }, () => newRecord())
          const before = sweeper.sweep()
          const creating = atOnce(12, n => store.write(pick(keys, first + n), pick(records, n), null))
          const [answers] = await Promise.all([creating, before, sweeper.sweep()])
          is(answers, Array(12).fill(true), 'A sweep does not make a creator lose')
          for (const [n, record] of records.entries()) {
            await holds(store, pick(keys, first + n), record, 'A sweep spares what is new')
          }
        }
      })
    },
  },
]

const openThree = (world: World) => Promise.all([world.openSweepable(), world.openSweepable(), world.openSweepable()])

/** Sweeps until nothing is left. Resolves to the number of sessions it deleted. */
export async function sweptBy(store: SweepableStore): Promise<number> {
  let swept = 0
  for (let batch = await store.sweep(); batch > 0; batch = await store.sweep()) swept += batch
  return swept
}
