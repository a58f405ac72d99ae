import { ok } from 'node:assert/strict'
import type { SessionRecord } from '../store.js'
import { created, expired, is, isList, lists, replaced } from './expectations.js'
import { atOnce, type Case, newKey, newRecord, pick } from './world.js'

export const enumerationCases: Case[] = [
  {
    title: 'keys yields every live session once, with a subject only those of that subject',
    needs: 'keys',
    async run(world) {
      const store = await world.openEnumerable()
      const [someone, other, nobody] = [newKey(), newKey(), newKey()]
      await lists(store, undefined, [], 'There is nothing in an empty world')
      const [a, b, c, d] = [newKey(), newKey(), newKey(), newKey()]
      for (const key of [a, b]) await created(store, key, newRecord({ subject: someone }))
      await created(store, c, newRecord({ subject: other }))
      await created(store, d, newRecord())
      await lists(store, undefined, [a, b, c, d], 'Without a subject all sessions are listed')
      await lists(store, someone, [a, b], 'The sessions of a subject are listed')
      await lists(store, other, [c], 'The session of another subject is listed')
      await lists(store, nobody, [], 'A subject without sessions has none')
    },
  },
  {
    title: 'keys follows the subject as writes give, change and take it away',
    needs: 'keys',
    async run(world) {
      const store = await world.openEnumerable()
      const [one, two, key] = [newKey(), newKey(), newKey()]
      let stored: SessionRecord = await created(store, key, newRecord())
      const steps: [Partial<SessionRecord>, string[], string[]][] = [
        [{ subject: one }, [key], []],
        [{ subject: one }, [key], []],
        [{ subject: two }, [], [key]],
        [{}, [], []],
        [{ subject: one }, [key], []],
      ]
      for (const [fields, ofOne, ofTwo] of steps) {
        stored = await replaced(store, key, stored, newRecord(fields))
        await lists(store, one, ofOne, 'A session is listed under the subject it has now')
        await lists(store, two, ofTwo, 'A session is not listed under a subject it had before')
        await lists(store, undefined, [key], 'The session is listed with any subject')
      }
    },
  },
  {
    title: 'a write or touch that lost, and a touch that won, leave a session under its subject',
    needs: 'keys',
    async run(world) {
      const store = await world.openEnumerable()
      const [mine, theirs, key] = [newKey(), newKey(), newKey()]
      const record = await created(store, key, newRecord({ subject: mine }))
      const loser = newRecord({ subject: theirs })
      const times = { seenAt: record.seenAt + 10_000, expiresAt: record.expiresAt + 10_000 }
      is(await store.write(key, loser, null), false, 'A create where a session lives loses')
      is(await store.write(key, loser, loser.version), false, 'A write at another version loses')
      is(await store.write(newKey(), loser, loser.version), false, 'A write where no session lives loses')
      is(await store.touch(key, times, loser.version), false, 'A touch at another version loses')
      is(await store.touch(key, times, record.version), true, 'A touch at the stored version wins')
      is(await store.write(key, newRecord({ ...record }), null), true, 'The same write again is true')
      await lists(store, mine, [key], 'The session stays under its subject')
      await lists(store, theirs, [], 'A write that lost lists nothing')
      await lists(store, undefined, [key], 'There is one session')
    },
  },
  {
    title: 'keys yields no session that has expired, was ended or was destroyed',
    needs: 'keys',
    async run(world) {
      const store = await world.openEnumerable()
      const subject = newKey()
      const [live, destroyed, ended, touched, dead] = [newKey(), newKey(), newKey(), newKey(), newKey()]
      for (const key of [live, destroyed]) await created(store, key, newRecord({ subject }))
      await store.destroy(destroyed)
      const toEnd = await created(store, ended, newRecord({ subject }))
      await replaced(store, ended, toEnd, newRecord({ subject, expiresAt: Date.now() - 1 }))
      const toTouch = await created(store, touched, newRecord({ subject }))
      const times = { seenAt: toTouch.seenAt, expiresAt: Date.now() - 1 }
      is(await store.touch(touched, times, toTouch.version), true, 'A touch at the stored version is true')
      is(await store.write(newKey(), newRecord({ subject, expiresAt: 1 }), null), true, 'The condition holds')
      await expired(store, dead, { subject })
      await lists(store, subject, [live], 'Only the live session of the subject is listed')
      await lists(store, undefined, [live], 'Only the live session is listed')
    },
  },
  {
    title: 'a session created where one had ended is listed under the new subject only',
    needs: 'keys',
    async run(world) {
      const store = await world.openEnumerable()
      const [before, after] = [newKey(), newKey()]
      const [destroyed, dead] = [newKey(), newKey()]
      await created(store, destroyed, newRecord({ subject: before }))
      await store.destroy(destroyed)
      await expired(store, dead, { subject: before })
      for (const key of [destroyed, dead]) await created(store, key, newRecord({ subject: after }))
      await lists(store, before, [], 'The subject of the ended session has none')
      await lists(store, after, [destroyed, dead], 'The new subject has them')
    },
  },
  {
    title: 'keys yields hundreds of sessions, each once',
    needs: 'keys',
    async run(world) {
      const store = await world.openEnumerable()
      const subject = newKey()
      const keys = Array.from({ length: 300 }, newKey)
      await atOnce(10, async lane => {
        for (let n = lane; n < keys.length; n += 10) await created(store, pick(keys, n), newRecord({ subject }))
      })
      await lists(store, undefined, keys, 'All 300 sessions are listed')
      await lists(store, subject, keys, 'All 300 sessions of one subject are listed')
    },
  },
  {
    title: 'a session that lives throughout is listed once, even while it and others are written',
    needs: 'keys',
    async run(world) {
      const store = await world.openEnumerable()
      const subject = newKey()
      const records = new Map<string, SessionRecord>()
      for (let n = 0; n < 25; n++) {
        const key = newKey()
        records.set(key, await created(store, key, newRecord({ subject })))
      }
      const keys = [...records.keys()]
      for (const call of [{}, { subject }]) {
        const found: string[] = []
        for await (const key of store.keys(call)) {
          // A session that comes and goes may be met in every step; a listing must end all the same.
          ok(
            found.length < 500,
            `A listing of ${keys.length} sessions ends, even if others come and go. It has yielded 500`,
          )
          const [other, passing] = [pick(keys, found.push(key) * 7), newKey()]
          const rewriting = [...new Set([key, other])].map(async each => {
            const stored = records.get(each)
            if (stored) records.set(each, await replaced(store, each, stored, newRecord({ subject })))
          })
          await Promise.all([...rewriting, created(store, passing, newRecord({ subject }))])
          await store.destroy(passing)
        }
        const lasting = found.filter(key => records.has(key))
        isList(lasting, keys, 'A session is listed exactly once, even if it is written meanwhile')
      }
    },
  },
  {
    title: 'leaving the loop over keys early leaves the store usable',
    needs: 'keys',
    async run(world) {
      const store = await world.openEnumerable()
      const subject = newKey()
      const keys = Array.from({ length: 5 }, newKey).sort()
      for (const key of keys) await created(store, key, newRecord({ subject }))
      // Repeat often enough to run out of connections if each loop keeps one.
      for (let round = 0; round < 20; round++) {
        for await (const key of store.keys(round % 2 ? { subject } : {})) {
          is(keys.includes(key), true, 'keys yields the key of a session')
          break
        }
      }
      await lists(store, undefined, keys, 'The next loop starts anew')
      await lists(store, subject, keys, 'The next loop over a subject starts anew')
    },
  },
  {
    title: 'however writes race, keys agrees with the record that won',
    needs: 'keys',
    async run(world) {
      const stores = await world.openSeveral()
      const store = await world.openEnumerable()
      const key = newKey()
      let stored: SessionRecord = await created(store, key, newRecord({ subject: newKey() }))
      for (let round = 0; round < 5; round++) {
        const racers = Array.from({ length: 8 }, (_, n) => newRecord(n % 4 ? { subject: newKey() } : {}))
        const won = await atOnce(8, n => pick(stores, n).write(key, pick(racers, n), stored.version))
        is(won.filter(Boolean).length, 1, 'Exactly one racer wins')
        const winner = pick(racers, won.indexOf(true))
        for (const { subject } of [stored, ...racers]) {
          if (subject === undefined) continue
          const ofWinner = subject === winner.subject ? [key] : []
          await lists(store, subject, ofWinner, 'The subject is the one of the winner')
        }
        await lists(store, undefined, [key], 'The session is listed once')
        stored = winner
      }
    },
  },
]
