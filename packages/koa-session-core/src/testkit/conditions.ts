import { created, holds, is, replaced } from './expectations.js'
import { type Case, newKey, newRecord } from './world.js'

/** Versions that a sloppy comparison takes for `Ab1-_`. */
const lookalikes = [
  'ab1-_',
  'AB1-_',
  'Ab1-_ ',
  ' Ab1-_',
  'Ab1-',
  'Ab1-_x',
  'Ab1-_\\',
  'Ab1%',
  'Ab1__',
  'A*',
  '',
  'null',
]

export const conditionCases: Case[] = [
  {
    title: 'creating, a write with expected null, is false where a session lives, and changes nothing',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const first = await created(store, key, newRecord({ subject: newKey() }))
      is(await store.write(key, newRecord(), null), false, 'The second creator loses')
      await holds(store, key, first, 'The second creator changed nothing')
    },
  },
  {
    title: 'a write at the stored version replaces the whole record',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const first = await created(store, key, newRecord({ subject: newKey() }))
      const second = await replaced(store, key, first, newRecord({ seenAt: 1, expiresAt: Date.now() + 30_000 }))
      await holds(store, key, second, 'Nothing of the earlier record is left')
      const third = await replaced(store, key, second)
      await holds(store, key, third, 'The next write goes by the version of the last')
    },
  },
  {
    title: 'a write at another version than the stored one is false and changes nothing',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const first = await created(store, key, newRecord())
      const second = await replaced(store, key, first, newRecord({ subject: newKey() }))
      const loser = newRecord({ subject: newKey(), expiresAt: Date.now() + 90_000 })
      is(await store.write(key, loser, first.version), false, 'A write at an earlier version loses')
      await holds(store, key, second, 'A write at an earlier version changed nothing')
      is(await store.write(key, newRecord(), newRecord().version), false, 'A write at an unknown version loses')
      await holds(store, key, second, 'A write at an unknown version changed nothing')
    },
  },
  {
    title: 'a write that expects a version where no session lives is false and creates nothing',
    async run(world) {
      const store = await world.open()
      for (const expected of [newRecord().version, '', 'null', '0']) {
        const key = newKey()
        is(await store.write(key, newRecord(), expected), false, 'Only expected null creates')
        await holds(store, key, undefined, 'A write that lost created nothing')
      }
    },
  },
  {
    title: 'versions are compared exactly, by write and by touch',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const record = await created(store, key, newRecord({ version: 'Ab1-_' }))
      const times = { seenAt: 1, expiresAt: record.expiresAt + 1 }
      for (const version of lookalikes) {
        const rule = `The version '${version}' is not 'Ab1-_'`
        is(await store.write(key, newRecord(), version), false, rule)
        // A write that was sent twice is also recognized by exact comparison.
        is(await store.write(key, newRecord({ version }), 'x'), false, rule)
        is(await store.touch(key, times, version), false, rule)
      }
      await holds(store, key, record, 'The lost write changed nothing')
    },
  },
  {
    title: 'a write sent twice is true both times and does its work once',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const first = newRecord({ subject: newKey() })
      for (const _ of ['first', 'second']) is(await store.write(key, first, null), true, 'A create sent twice is true')
      await holds(store, key, first, 'A create sent twice leaves what it wrote')
      const second = newRecord()
      for (const _ of ['first', 'second', 'third']) {
        is(await store.write(key, second, first.version), true, 'A replacement sent twice is true')
      }
      await holds(store, key, second, 'A replacement sent twice leaves what it wrote')
      const times = { seenAt: second.seenAt + 10_000, expiresAt: second.expiresAt + 10_000 }
      is(await store.touch(key, times, second.version), true, 'A touch at the stored version is true')
      is(await store.write(key, second, first.version), true, 'A write sent again after a touch is still true')
      await holds(store, key, { ...second, ...times }, 'A write sent again does not undo a touch: its work was done')
    },
  },
  {
    title: 'a write sent again after somebody else wrote is false and changes nothing',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const first = await created(store, key, newRecord())
      const second = await replaced(store, key, first)
      const third = await replaced(store, key, second)
      is(await store.write(key, first, null), false, 'A create that comes again late loses')
      is(await store.write(key, second, first.version), false, 'A replacement that comes again late loses')
      await holds(store, key, third, 'The late write changed nothing')
    },
  },
  {
    title: 'destroying ends the session, at any version; where there is none it resolves just so',
    async run(world) {
      const store = await world.open()
      const [key, other] = [newKey(), newKey()]
      await created(store, key, newRecord({ subject: newKey() }))
      const kept = await created(store, other, newRecord())
      for (const _ of ['first', 'second']) {
        is(await store.destroy(key), undefined, 'destroy resolves to nothing, also when there is no such session')
        await holds(store, key, undefined, 'A destroyed session is gone')
      }
      is(await store.destroy(newKey()), undefined, 'destroy of an unknown key resolves')
      await holds(store, other, kept, 'Destroying one session leaves the others')
    },
  },
  {
    title: 'after destroy no write or touch at an earlier version brings the session back',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const first = await created(store, key, newRecord())
      const second = await replaced(store, key, first)
      await store.destroy(key)
      is(await store.write(key, newRecord(), second.version), false, 'A write at the destroyed version loses')
      is(await store.write(key, second, first.version), false, 'A write sent again after destroy loses')
      const times = { seenAt: Date.now(), expiresAt: Date.now() + 3_600_000 }
      is(await store.touch(key, times, second.version), false, 'A touch at the destroyed version loses')
      await holds(store, key, undefined, 'A destroyed session stays gone')
    },
  },
  {
    title: 'a destroyed key can be created anew, and nothing of the old session is left',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const old = await created(store, key, newRecord({ subject: newKey() }))
      await store.destroy(key)
      const fresh = await created(store, key, newRecord())
      await holds(store, key, fresh, 'The new session has nothing of the old')
      is(await store.write(key, newRecord(), old.version), false, 'A write at the version of the old session loses')
      await holds(store, key, fresh, 'A write at the version of the old session changed nothing')
    },
  },
]
