import { created, holds, is, replaced } from './expectations.js'
import { type Case, newKey, newRecord } from './world.js'

export const touchCases: Case[] = [
  {
    title: 'touch moves seenAt and expiresAt, and nothing else',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const record = await created(store, key, newRecord({ subject: newKey() }))
      let times = { seenAt: record.seenAt + 7, expiresAt: record.expiresAt + 70_000 }
      is(await store.touch(key, times, record.version), true, 'A touch at the stored version is true')
      await holds(store, key, { ...record, ...times }, 'A touch moves both times and keeps the rest')
      is(await store.touch(key, times, record.version), true, 'The same touch again is true')
      await holds(store, key, { ...record, ...times }, 'The same touch again changes nothing')
      times = { seenAt: 0, expiresAt: record.expiresAt - 10_000 }
      is(await store.touch(key, times, record.version), true, 'A touch backwards is true')
      await holds(store, key, { ...record, ...times }, 'A touch can also move the times back')
    },
  },
  {
    title: 'touch keeps the version: a write that read before the touch still wins',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const record = await created(store, key, newRecord())
      // Far from now, so that they differ from the times of a write a moment later.
      const times = { seenAt: record.seenAt + 10_000, expiresAt: record.expiresAt + 10_000 }
      is(await store.touch(key, times, record.version), true, 'A touch at the stored version is true')
      const next = await replaced(store, key, record)
      await holds(store, key, next, 'The write brings its own times')
    },
  },
  {
    title: 'touch at another version than the stored one is false and changes nothing',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const first = await created(store, key, newRecord())
      const second = await replaced(store, key, first)
      const times = { seenAt: second.seenAt + 5, expiresAt: second.expiresAt + 5 }
      is(await store.touch(key, times, first.version), false, 'A touch at an earlier version loses')
      await holds(store, key, second, 'A touch at an earlier version changed nothing')
      is(await store.touch(key, { ...times, expiresAt: 1 }, newRecord().version), false, 'Ending takes the version too')
      await holds(store, key, second, 'A touch at an unknown version changed nothing')
    },
  },
  {
    title: 'touch where no session lives is false and creates nothing',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const times = { seenAt: Date.now(), expiresAt: Date.now() + 3_600_000 }
      is(await store.touch(key, times, newRecord().version), false, 'There is nothing to touch')
      await holds(store, key, undefined, 'A touch creates nothing')
      is(await store.write(key, newRecord(), null), true, 'The key is as free as before')
    },
  },
]
