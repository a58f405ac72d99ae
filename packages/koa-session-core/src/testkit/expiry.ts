import { setTimeout } from 'node:timers/promises'
import type { SessionRecord } from '../store.js'
import { created, expired, holds, is, replaced, until } from './expectations.js'
import { type Case, newKey, newRecord } from './world.js'

const later = () => ({ seenAt: Date.now(), expiresAt: Date.now() + 3_600_000 })

export const expiryCases: Case[] = [
  {
    title: 'until the instant expiresAt a session lives',
    async run(world) {
      const store = await world.open()
      // On a machine that stands still there may be none close to the end. A slow backend has none at all.
      for (let lead = 100, reads = 0, close = 0; reads < 2 || (close < 2 && lead < 1_000); lead *= 2) {
        // Two, so that a store that rounds to seconds shows it by one of them at least.
        const ends = [Date.now() + lead, Date.now() + lead + 60]
        for (const expiresAt of ends) {
          const key = newKey()
          const record = await created(store, key, newRecord({ expiresAt }))
          while (Date.now() < expiresAt) {
            const left = expiresAt - Date.now()
            const found = await store.read(key)
            if (Date.now() >= expiresAt) break
            is(found, record, 'A session is there up to the millisecond before expiresAt')
            reads++
            if (left <= 50) close++
            await setTimeout(5)
          }
        }
      }
    },
  },
  {
    title: 'from the instant expiresAt on a session does not exist for read, write and touch',
    async run(world) {
      const store = await world.open()
      const [read, written, touched, free] = [newKey(), newKey(), newKey(), newKey()]
      // Repeat until a few calls began in that very millisecond, as far as the machine allows it.
      for (let round = 0, onTime = 0; round < 15 && onTime < 3; round++) {
        const expiresAt = Date.now() + 50
        const record = newRecord({ expiresAt })
        await Promise.all([read, written, touched, free].map(key => store.write(key, record, null)))
        await until(expiresAt)
        const next = newRecord()
        if (Date.now() === expiresAt) onTime++
        const answers = await Promise.all([
          store.read(read),
          store.write(written, newRecord(), record.version),
          store.touch(touched, later(), record.version),
          store.write(free, next, null),
        ])
        is(answers, [undefined, false, false, true], 'Expired: read undefined, write and touch false, create true')
        await holds(store, written, undefined, 'A write at the expired version brought nothing back')
        await holds(store, touched, undefined, 'A touch at the expired version brought nothing back')
        await holds(store, free, next, 'The created session lives')
        await store.destroy(free)
      }
    },
  },
  {
    title: 'no write or touch at its version brings an expired session back',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const record = await expired(store, key)
      is(
        await store.write(key, newRecord(), record.version),
        false,
        'A write at the version of an expired session loses',
      )
      is(await store.touch(key, later(), record.version), false, 'A touch of an expired session loses')
      await holds(store, key, undefined, 'An expired session stays gone')
    },
  },
  {
    title: 'creating over an expired session is true, and nothing of the old one is left',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const old = await expired(store, key, { subject: newKey() })
      const fresh = await created(store, key, newRecord())
      await holds(store, key, fresh, 'The new session has nothing of the expired one')
      is(await store.write(key, newRecord(), old.version), false, 'A write at the version of the old session loses')
      is(await store.touch(key, later(), old.version), false, 'A touch at the version of the old session loses')
      is(await store.write(key, newRecord(), null), false, 'The next creator loses')
      await holds(store, key, fresh, 'The lost write changed nothing')
    },
  },
  {
    title: 'a write of an already expired record at the stored version ends the session for good',
    async run(world) {
      const store = await world.open()
      for (const ago of [0, 1, 60_000, Number.POSITIVE_INFINITY]) {
        const key = newKey()
        const first = await created(store, key, newRecord())
        const end = newRecord({ expiresAt: Math.max(0, Date.now() - ago) })
        is(await store.write(key, end, first.version), true, 'Ending at the stored version is true')
        await holds(store, key, undefined, 'An ended session is gone')
        for (const { version } of [first, end]) {
          is(await store.write(key, newRecord(), version), false, 'No write brings an ended session back')
          is(await store.touch(key, later(), version), false, 'No touch brings an ended session back')
        }
        await holds(store, key, undefined, 'An ended session stays gone')
        await holds(store, key, await created(store, key, newRecord()), 'The key is free for a new session')
      }
    },
  },
  {
    title: 'a write of an already expired record at another version is false and ends nothing',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const first = await created(store, key, newRecord())
      const second = await replaced(store, key, first)
      for (const expected of [first.version, null]) {
        const end = newRecord({ expiresAt: Date.now() - 1 })
        is(await store.write(key, end, expected), false, 'Ending is conditional like every write')
        await holds(store, key, second, 'The session lives on')
      }
    },
  },
  {
    title: 'a write of an already expired record with expected null where no session lives is true and leaves nothing',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const end = newRecord({ expiresAt: Date.now() - 1 })
      is(await store.write(key, end, null), true, 'The condition holds, so the answer is true')
      await holds(store, key, undefined, 'An expired record leaves nothing to read')
      is(await store.write(newKey(), end, end.version), false, 'With an expected version the condition does not hold')
      await holds(store, key, await created(store, key, newRecord()), 'The key is free for a new session')
    },
  },
  {
    title: 'a touch to an instant already past ends the session for good',
    async run(world) {
      const store = await world.open()
      for (const expiresAt of [0, Date.now() - 1]) {
        const key = newKey()
        const record = await created(store, key, newRecord())
        const times = { seenAt: record.seenAt, expiresAt }
        is(await store.touch(key, times, record.version), true, 'The condition holds, so the answer is true')
        await holds(store, key, undefined, 'The session is gone')
        is(await store.touch(key, later(), record.version), false, 'No touch brings it back')
        is(await store.write(key, newRecord(), record.version), false, 'No write brings it back')
        await holds(store, key, undefined, 'The session stays gone')
      }
    },
  },
  {
    title: 'a touch or write that came in time replaces the expiry of before, later or earlier',
    async run(world) {
      const store = await world.open()
      const times = later()
      const longer = newRecord()
      const outlives = async (
        move: (key: string, expected: string) => Promise<boolean>,
        moved: Partial<SessionRecord>,
      ) => {
        for (let lead = 100; ; lead *= 2) {
          const key = newKey()
          const brief = await created(store, key, newRecord({ expiresAt: Date.now() + lead }))
          const answer = await move(key, brief.version)
          if (Date.now() >= brief.expiresAt) continue
          is(answer, true, 'The session still lived, so the answer is true')
          await until(brief.expiresAt + 20)
          return holds(store, key, { ...brief, ...moved }, 'The session outlives its first expiry')
        }
      }
      await Promise.all([
        outlives((key, expected) => store.touch(key, times, expected), times),
        outlives((key, expected) => store.write(key, longer, expected), longer),
      ])
      const key = newKey()
      const long = await created(store, key, newRecord())
      const soon = { seenAt: long.seenAt, expiresAt: Date.now() + 50 }
      is(await store.touch(key, soon, long.version), true, 'A touch at the stored version is true')
      await until(soon.expiresAt)
      await holds(store, key, undefined, 'A touch can bring the end nearer')
    },
  },
]
