import type { SessionRecord } from '../store.js'
import { created, holds, is, replaced } from './expectations.js'
import { type Case, newKey, newRecord, pick } from './world.js'

const texts = {
  'Latin, Greek, Cyrillic, Hebrew, Arabic, Devanagari, Chinese': 'Ünï ñ ß Ω ж שלום مرحبا नमस्ते 漢字',
  'characters outside the basic plane': '😀 👩‍👩‍👧‍👦 🏳️‍🌈 𝒳 𠮷 \u{10ffff}',
  'composed and decomposed accents, not normalized': '\u00e9 e\u0301 \u212b \ufb01',
  'a byte order mark in front': '\ufeffx\ufeff',
  'special characters of Unicode': '\u2028\u2029\u200b\u00a0\ufffd\ufffe\uffff\ue000',
  'white space at both ends': ' \t\r\n x \n\r\t ',
  'control characters':
    Array.from({ length: 31 }, (_, code) => String.fromCharCode(code + 1)).join('') + '\u007f\u0085',
  'quotes, backslashes and placeholders': `'"\`\\ \\n \\u0041 \\' ''; -- $1 \${x} %s ? :a @b {{c}} \\`,
  'text that reads like something else': 'null',
  'digits with zeros in front': '007',
  'nothing at all': '',
}

export const recordCases: Case[] = [
  {
    title: 'reading a key that was never written is undefined',
    async run(world) {
      const store = await world.open()
      is(await store.read(newKey()), undefined, 'An unknown session is undefined, neither null nor an error')
    },
  },
  {
    title: 'a record comes back exactly as it was written, times as numbers and subject included',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const record = newRecord({ seenAt: 0, subject: newKey() })
      await created(store, key, record)
      await holds(store, key, record, 'A record created comes back as it was written')
      const next = await replaced(store, key, record, newRecord({ subject: newKey() }))
      await holds(store, key, next, 'A record replaced comes back as it was written')
    },
  },
  {
    title: 'a record without a subject comes back without one',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const record = await created(store, key, newRecord())
      await holds(store, key, record, 'subject is absent, neither null nor empty')
    },
  },
  {
    title: 'a write can give, change and take away the subject',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      let stored = await created(store, key, newRecord())
      for (const fields of [{ subject: newKey() }, { subject: newKey() }, {}, { subject: newKey() }]) {
        stored = await replaced(store, key, stored, newRecord(fields))
        await holds(store, key, stored, 'The subject is the one of the last write, absent if that had none')
      }
    },
  },
  {
    title: 'data come back character by character, in any script, and even if empty',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      let stored = await created(store, key, newRecord())
      for (const [what, data] of Object.entries(texts)) {
        stored = await replaced(store, key, stored, newRecord({ data }))
        await holds(store, key, stored, `Data with ${what} come back unchanged`)
      }
    },
  },
  {
    title: 'data of one megabyte come back whole',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      // Characters of one to four bytes in UTF-8, so that a truncation anywhere shows.
      const record = newRecord({ data: 'aé€😀'.repeat(104_858) })
      await created(store, key, record)
      await holds(store, key, record, 'One megabyte created comes back')
      const next = await replaced(store, key, record, newRecord({ data: `[${'"x",'.repeat(262_143)}0]` }))
      await holds(store, key, next, 'One megabyte replaced comes back')
    },
  },
  {
    title: 'a version is any text of up to 36 ASCII characters',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      let stored = await created(store, key, newRecord({ version: '1' }))
      for (const version of [
        '1e3',
        '007',
        `'"\\%_$*?{}[]()<>;:,.!#&|^~ +-=/\`@ 0`,
        'f47ac10b-58cc-4372-a567-0e02b2c3d479',
      ]) {
        stored = await replaced(store, key, stored, newRecord({ version }))
        await holds(store, key, stored, 'The version comes back as it was written')
        const times = { seenAt: stored.seenAt + 10_000, expiresAt: stored.expiresAt + 10_000 }
        is(await store.touch(key, times, version), true, 'A touch at the stored version is true')
      }
    },
  },
  {
    title: 'a session may live as long as a Date can tell',
    async run(world) {
      const store = await world.open()
      const [longLived, touched] = [newKey(), newKey()]
      const record = await created(store, longLived, newRecord({ expiresAt: 8.64e15 }))
      await holds(store, longLived, record, 'An expiresAt of 8.64e15 comes back')
      const short = await created(store, touched, newRecord())
      const times = { seenAt: short.seenAt, expiresAt: 8.64e15 }
      is(await store.touch(touched, times, short.version), true, 'A touch to an expiresAt of 8.64e15 is true')
      await holds(store, touched, { ...short, ...times }, 'An expiresAt of 8.64e15 comes back after a touch')
    },
  },
  {
    title: 'a record that its caller changes after writing or reading it does not change in the store',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const record = newRecord({ subject: newKey() })
      const mine: { -readonly [Field in keyof typeof record]: (typeof record)[Field] } = { ...record }
      await created(store, key, mine)
      mine.data = 'changed'
      delete mine.subject
      await holds(store, key, record, 'A write keeps a copy')
      const read = await store.read(key)
      // A frozen record is fine too.
      if (read && !Object.isFrozen(read)) Object.assign(read, { data: 'changed', expiresAt: 0, version: 'changed' })
      await holds(store, key, record, 'A read hands out a copy')
    },
  },
  {
    title: 'keys are told apart by every character',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const other = (at: number) => key.slice(0, at) + (key[at] === 'a' ? 'b' : 'a') + key.slice(at + 1)
      // Includes keys that some languages treat as equal numbers.
      const keys = [key, other(0), other(32), other(63), '0'.repeat(64), `0e${'1'.repeat(62)}`, `${'0'.repeat(63)}1`]
      const records = new Map(keys.map(each => [each, newRecord()]))
      for (const [each, record] of records) await created(store, each, record)
      for (const [each, record] of records) await holds(store, each, record, 'Each key has its own session')
      await store.destroy(key)
      records.delete(key)
      for (const [each, record] of records) await holds(store, each, record, 'Destroying one leaves the others')
      is(await store.read(key), undefined, 'The destroyed one is gone')
    },
  },
  {
    title: 'a world sees nothing of another',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const record = await created(store, key, newRecord())
      await world.beside(async beside => {
        const other = await beside.open()
        is(await other.read(key), undefined, 'The other world starts empty')
        const theirs = await created(other, key, newRecord())
        await holds(store, key, record, 'The other world did not write into this one')
        await store.destroy(key)
        await holds(other, key, theirs, 'This world did not destroy in the other one')
      })
    },
  },
  {
    title: 'what one store has done, every other store on the world sees at once',
    async run(world) {
      const stores = await world.openSeveral()
      const key = newKey()
      const everywhere = async (wanted: SessionRecord | undefined, rule: string) => {
        for (const store of stores) await holds(store, key, wanted, rule)
      }
      await everywhere(undefined, 'A read finds nothing before the first write')
      const first = await created(pick(stores, 0), key, newRecord())
      await everywhere(first, 'A session created is read by everybody')
      const second = await replaced(pick(stores, 1), key, first)
      await everywhere(second, 'A session replaced is read by everybody')
      const times = { seenAt: second.seenAt + 10_000, expiresAt: second.expiresAt + 10_000 }
      is(await pick(stores, 2).touch(key, times, second.version), true, 'A touch at the stored version is true')
      await everywhere({ ...second, ...times }, 'A session touched is read by everybody')
      await pick(stores, 0).destroy(key)
      await everywhere(undefined, 'A session destroyed is gone for everybody')
    },
  },
]
