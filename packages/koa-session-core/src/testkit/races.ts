import { ok } from 'node:assert/strict'
import { created, holds, is, replaced } from './expectations.js'
import { atOnce, type Case, newKey, newRecord, newVersion, pick } from './world.js'

export const raceCases: Case[] = [
  {
    title: 'of many creators at the same time exactly one gets true, and its record is there',
    async run(world) {
      const stores = await world.openSeveral()
      for (let round = 0; round < 3; round++) {
        const key = newKey()
        const records = Array.from({ length: 20 }, () => newRecord())
        const won = await atOnce(20, n => pick(stores, n).write(key, pick(records, n), null))
        is(won.filter(Boolean).length, 1, 'Exactly one of 20 creators wins')
        await holds(pick(stores, round), key, records[won.indexOf(true)], 'The record is the one of the winner')
      }
    },
  },
  {
    title: 'of many writers at the same version exactly one gets true, and its record is there',
    async run(world) {
      const stores = await world.openSeveral()
      const key = newKey()
      let stored = await created(pick(stores, 0), key, newRecord())
      for (let round = 0; round < 3; round++) {
        const records = Array.from({ length: 20 }, () => newRecord())
        const won = await atOnce(20, n => pick(stores, n).write(key, pick(records, n), stored.version))
        is(won.filter(Boolean).length, 1, 'Exactly one of 20 writers wins')
        stored = pick(records, won.indexOf(true))
        await holds(pick(stores, round), key, stored, 'The record is the one of the winner')
      }
    },
  },
  {
    title: 'a write sent twice at the same time is true both times',
    async run(world) {
      const stores = await world.openSeveral()
      const key = newKey()
      const first = newRecord()
      is(
        await atOnce(4, n => pick(stores, n).write(key, first, null)),
        [true, true, true, true],
        'A create whose record is there is true, whichever of the copies made it',
      )
      const second = newRecord()
      is(
        await atOnce(4, n => pick(stores, n).write(key, second, first.version)),
        [true, true, true, true],
        'A replacement whose record is there is true, whichever of the copies made it',
      )
      await holds(pick(stores, 0), key, second, 'The record is there')
    },
  },
  {
    title: 'a counter raised by compare-and-set from several stores misses nothing',
    async run(world) {
      const stores = await world.openSeveral()
      const key = newKey()
      await created(pick(stores, 0), key, newRecord({ data: '0' }))
      await atOnce(4, async n => {
        const store = pick(stores, n)
        for (let raised = 0, lost = 0; raised < 5; ) {
          const read = await store.read(key)
          ok(read, 'The session is live all the time')
          const next = newRecord({ data: String(Number(read.data) + 1) })
          if (await store.write(key, next, read.version)) raised++
          // A write loses to one that won meanwhile, and there are twenty of those.
          else ok(lost++ < 100, 'A write at the version just read wins unless another one won meanwhile. 100 lost')
        }
      })
      const last = await pick(stores, 1).read(key)
      is(last?.data, '20', 'Four clients raised the counter five times each')
    },
  },
  {
    title: 'a touch at the same time as a write does not make it lose, and leaves no trace in its record',
    async run(world) {
      const stores = await world.openSeveral()
      const key = newKey()
      let stored = await created(pick(stores, 0), key, newRecord())
      for (let round = 0; round < 10; round++) {
        const next = newRecord()
        const touching = () => pick(stores, 1).touch(key, { seenAt: 1, expiresAt: next.expiresAt + 1 }, stored.version)
        const writing = () => pick(stores, 2).write(key, next, stored.version)
        const [won] =
          round % 2
            ? await Promise.all([writing(), touching()])
            : (await Promise.all([touching(), writing()])).reverse()
        is(won, true, 'A touch keeps the version, so the write wins')
        const rule = 'A touch that meets a write leaves no trace: it must not write back what it read before'
        await holds(pick(stores, 0), key, next, rule)
        stored = next
      }
    },
  },
  {
    title: 'after a destroy the session stays dead, even if writes and touches ran at the same time',
    async run(world) {
      const stores = await world.openSeveral()
      for (let round = 0; round < 12; round++) {
        const key = newKey()
        const record = await created(pick(stores, 0), key, newRecord())
        const times = { seenAt: record.seenAt + 10_000, expiresAt: record.expiresAt + 10_000 }
        const calls: (() => Promise<unknown>)[] = [
          () => pick(stores, 0).write(key, newRecord(), record.version),
          () => pick(stores, 1).touch(key, times, record.version),
          () => pick(stores, 2).destroy(key),
          () => pick(stores, 1).write(key, newRecord(), record.version),
        ]
        await atOnce(4, n => pick(calls, n + round)())
        await holds(pick(stores, round), key, undefined, 'Only a write with expected null begins a session')
      }
    },
  },
  {
    title: 'of an end and other writes at the same version exactly one wins',
    async run(world) {
      const stores = await world.openSeveral()
      for (let round = 0; round < 8; round++) {
        const key = newKey()
        const record = await created(pick(stores, 0), key, newRecord())
        const racers = [newRecord({ expiresAt: Date.now() - 1 }), newRecord(), newRecord()]
        const won = await atOnce(3, async n => {
          const racer = pick(racers, n + round)
          return (await pick(stores, n).write(key, racer, record.version)) && racer
        })
        const winners = won.filter(racer => racer !== false)
        is(winners.length, 1, 'Exactly one write wins')
        const [winner] = winners
        await holds(pick(stores, 1), key, winner === racers[0] ? undefined : winner, 'The winner decides what is there')
      }
    },
  },
  {
    title: 'sessions written at the same time do not disturb each other',
    async run(world) {
      const stores = await world.openSeveral()
      const subject = newKey()
      await atOnce(12, async n => {
        const key = newKey()
        const store = pick(stores, n)
        let stored = await created(store, key, newRecord({ subject }))
        for (let step = 0; step < 5; step++) {
          stored = await replaced(store, key, stored, newRecord({ subject, version: newVersion() }))
          await holds(store, key, stored, 'Every session has its own record')
        }
        await store.destroy(key)
        await holds(store, key, undefined, 'Every session has its own end')
      })
    },
  },
]
