import { AssertionError, ok } from 'node:assert/strict'
import type { EnumerableStore, Store, StoreCall, SweepableStore } from '../store.js'
import { created, holds, is, replaced } from './expectations.js'
import { type Capability, type Case, newKey, newRecord } from './world.js'

interface Target {
  readonly key: string
  readonly version: string
  readonly free: string
}

interface Method {
  readonly needs?: Capability
  call(store: Store, target: Target, call: StoreCall): Promise<unknown>
}

const methods: Record<string, Method> = {
  read: { call: (store, { key }, call) => store.read(key, call) },
  write: { call: (store, { key, version }, call) => store.write(key, newRecord(), version, call) },
  'write with expected null': { call: (store, { free }, call) => store.write(free, newRecord(), null, call) },
  touch: {
    call: (store, { key, version }, call) =>
      store.touch(key, { seenAt: 1, expiresAt: Date.now() + 9_000 }, version, call),
  },
  destroy: { call: (store, { key }, call) => store.destroy(key, call) },
  sweep: { needs: 'sweep', call: async (store, _, call) => (store as SweepableStore).sweep(call) },
  keys: {
    needs: 'keys',
    async call(store, _, call) {
      for await (const key of (store as EnumerableStore).keys(call)) return key
    },
  },
}

/** The reason that `calling` rejects with, or a mark that it resolved. Failures of the kit itself are rethrown. */
const outcome = (calling: Promise<unknown>): Promise<unknown> =>
  calling.then(
    () => 'it resolved',
    (reason: unknown) => {
      if (reason instanceof AssertionError) throw reason
      return reason
    },
  )

export const abortCases: Case[] = [
  ...Object.entries(methods).map(
    ([name, { needs, call }]): Case => ({
      title: `${name} rejects with the reason of a signal already aborted and does nothing`,
      ...(needs && { needs }),
      async run(world) {
        const store = await world.open()
        const target = { key: newKey(), version: newRecord().version, free: newKey() }
        const record = await created(store, target.key, newRecord({ version: target.version }))
        for (const reason of [new Error('the reason'), 'a reason that is no error']) {
          const rejection = await outcome(call(store, target, { signal: AbortSignal.abort(reason) }))
          ok(rejection === reason, `The call rejects with the reason of its signal. Got ${String(rejection)}`)
        }
        await holds(store, target.key, record, 'The aborted call did nothing')
        await holds(store, target.free, undefined, 'The aborted call created nothing')
      },
    }),
  ),
  {
    title: 'a signal that is not aborted changes nothing',
    async run(world) {
      const store = await world.open()
      const { signal } = new AbortController()
      const key = newKey()
      const record = newRecord()
      is(await store.write(key, record, null, { signal }), true, 'write answers as without a signal')
      is(await store.read(key, { signal }), record, 'read answers as without a signal')
      const times = { seenAt: 1, expiresAt: record.expiresAt }
      is(await store.touch(key, times, record.version, { signal }), true, 'touch answers as without a signal')
      await holds(store, key, { ...record, ...times }, 'touch works as without a signal')
      is(await store.destroy(key, { signal }), undefined, 'destroy answers as without a signal')
      await holds(store, key, undefined, 'destroy works as without a signal')
    },
  },
  {
    title: 'a call aborted on the way is answered or rejected with the reason, and later calls work',
    async run(world) {
      const store = await world.open()
      const target = { key: newKey(), version: newRecord().version, free: newKey() }
      await created(store, target.key, newRecord({ version: target.version }))
      for (const { needs, call } of Object.values(methods)) {
        if (needs && !world.capabilities.includes(needs)) continue
        const controller = new AbortController()
        const reason = new Error('the reason')
        const called = outcome(call(store, target, { signal: controller.signal }))
        controller.abort(reason)
        const end = await called
        ok(
          end === reason || end === 'it resolved',
          `The call resolves, or rejects with the reason of its signal. It rejected with ${String(end)}`,
        )
      }
      const key = newKey()
      const record = await created(store, key, newRecord())
      await holds(store, key, await replaced(store, key, record), 'The store works as before')
    },
  },
]
