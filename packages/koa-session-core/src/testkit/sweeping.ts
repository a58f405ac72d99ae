import { created, expired, holds, is, mortal, until } from './expectations.js'
import { atOnce, type Case, newKey, newRecord, pick } from './world.js'

export const sweepingCases: Case[] = [
  {
    title: 'sweep deletes the expired sessions, says how many, and spares the live',
    needs: 'sweep',
    async run(world) {
      const store = await world.openSweepable()
      is(await store.sweep(), 0, 'There is nothing to sweep in an empty world')
      const live = [newKey(), newKey(), newKey()]
      const records = await atOnce(3, n => created(store, pick(live, n), newRecord({ subject: newKey() })))
      is(await store.sweep(), 0, 'Live sessions are not swept')
      await atOnce(5, () => expired(store, newKey()))
      is(await store.sweep(), 5, 'sweep resolves to the number of sessions it deleted')
      is(await store.sweep(), 0, 'What was swept is gone')
      for (const [n, key] of live.entries()) await holds(store, key, records[n], 'A live session is spared as it is')
    },
  },
  {
    title: 'sweeping on until it says 0 deletes more than a thousand expired sessions',
    needs: 'sweep',
    async run(world) {
      const store = await world.openSweepable()
      const key = newKey()
      const live = await created(store, key, newRecord())
      let last = 0
      await atOnce(20, async () => {
        for (let n = 0; n < 53; n++) last = Math.max(last, (await mortal(store, newKey())).expiresAt)
      })
      await until(last)
      let swept = 0
      for (let batch = await store.sweep(); batch > 0; batch = await store.sweep()) swept += batch
      is(swept, 1_060, 'Batches are bounded, but each call goes on where the last one stopped')
      await holds(store, key, live, 'The live session is spared')
    },
  },
  {
    title: 'sweeps at the same time count each expired session once',
    needs: 'sweep',
    async run(world) {
      const stores = await Promise.all([world.openSweepable(), world.openSweepable(), world.openSweepable()])
      const [store] = stores
      await atOnce(30, () => expired(store, newKey()))
      let swept = 0
      await Promise.all(
        stores.map(async each => {
          for (let batch = await each.sweep(); batch > 0; batch = await each.sweep()) swept += batch
        }),
      )
      is(swept, 30, 'A session is counted by the sweep that deleted it')
    },
  },
  {
    title: 'a session created over an expired one survives a sweep at the same time',
    needs: 'sweep',
    async run(world) {
      const [store, sweeper] = await Promise.all([world.openSweepable(), world.openSweepable()])
      for (let round = 0; round < 4; round++) {
        const keys = Array.from({ length: 12 }, newKey)
        await atOnce(12, n => expired(store, pick(keys, n)))
        const records = keys.map(() => newRecord())
        const before = sweeper.sweep()
        const creating = atOnce(12, n => store.write(pick(keys, n), pick(records, n), null))
        const [answers] = await Promise.all([creating, before, sweeper.sweep()])
        is(answers, Array(12).fill(true), 'A sweep does not make a creator lose')
        for (const [n, key] of keys.entries()) await holds(store, key, records[n], 'A sweep spares what is new')
      }
    },
  },
]
