import assert from 'node:assert/strict'
import type { SessionRecord } from 'koa-session-core'
import { eventually } from './patience.js'
import { type TestedStore, timesOf } from './tested-store.js'

interface LostReply {
  /** There is a session to begin with. */
  readonly before: boolean
  call(store: TestedStore, key: string, record: SessionRecord): Promise<unknown>
  after(store: TestedStore, key: string, record: SessionRecord): Promise<void>
}

const next = (record: SessionRecord): SessionRecord => ({
  ...record,
  data: '{"next":1}',
  version: `${record.version}n`,
})

/** The call whose reply is lost, and the expected state after it is repeated. */
export const lostReplies: Record<string, LostReply> = {
  'a read': {
    before: true,
    call: (store, key) => store.read(key),
    async after(store, key, record) {
      assert.deepEqual(await eventually(() => store.read(key)), record)
    },
  },
  'a write that creates': {
    before: false,
    call: (store, key, record) => store.write(key, record, null),
    async after(store, key, record) {
      assert.equal(await eventually(() => store.write(key, record, null)), true)
      assert.deepEqual(await store.read(key), record)
    },
  },
  'a write that replaces': {
    before: true,
    call: (store, key, record) => store.write(key, next(record), record.version),
    async after(store, key, record) {
      assert.equal(await eventually(() => store.write(key, next(record), record.version)), true)
      assert.deepEqual(await store.read(key), next(record))
    },
  },
  'a touch': {
    before: true,
    call: (store, key, record) => store.touch(key, timesOf(record), record.version),
    async after(store, key, record) {
      assert.equal(await eventually(() => store.touch(key, timesOf(record), record.version)), true)
      assert.deepEqual(await store.read(key), { ...record, ...timesOf(record) })
    },
  },
  'a destroy': {
    before: true,
    call: (store, key) => store.destroy(key),
    async after(store, key) {
      await eventually(() => store.destroy(key))
      assert.equal(await store.read(key), undefined)
    },
  },
}
