import { AssertionError, ok } from 'node:assert/strict'
import type { EnumerableStore, Store, SweepableStore } from '../store.js'
import { created, holds, replaced } from './expectations.js'
import { observed } from './side-effects.js'
import { type Case, newKey, newRecord } from './world.js'

export const lifecycleCases: Case[] = [
  {
    title: 'a store has a name, for errors and events',
    async run(world) {
      const { name } = await world.open()
      ok(typeof name === 'string' && name.length > 0, `name is a short text such as 'redis'. Got ${String(name)}`)
    },
  },
  ...(['sweep', 'keys'] as const).map(
    (ability): Case => ({
      title: `a store has ${ability} exactly when its capabilities name it`,
      async run(world) {
        const isThere = ability in (await world.open())
        const isNamed = world.capabilities.includes(ability)
        ok(isThere || !isNamed, `The capabilities name '${ability}', so the store has the method ${ability}`)
        ok(isNamed || !isThere, `The store has the method ${ability}, so its capabilities name '${ability}'`)
      },
    }),
  ),
  {
    title: 'two stores on one world see the same data exactly when the capabilities name shared',
    async run(world) {
      const isNamed = world.capabilities.includes('shared')
      const one = await world.open()
      // A backend that belongs to one store may refuse a second one; then nothing is shared.
      const other = await world.openAnother().catch(error => {
        if (isNamed) throw error
      })
      const key = newKey()
      await created(one, key, newRecord())
      const isShared = (await other?.read(key)) !== undefined
      ok(isShared || !isNamed, "The capabilities name 'shared', so what one store writes the other reads")
      ok(isNamed || !isShared, "What one store writes the other reads, so the capabilities name 'shared'")
    },
  },
  {
    title: 'opening a store does no I/O and starts no timer',
    async run(world) {
      let begun: () => Promise<string[]> = async () => []
      let found: string[]
      try {
        await world.openAnother(create => {
          const creation = observed(create)
          begun = creation.begun
          return creation.result
        })
      } finally {
        found = await begun()
      }
      const rule =
        'A store connects, reads files and starts timers with its first call. A client that create makes itself'
      ok(found.length === 0, `${rule} belongs outside of it. create began ${found.slice(0, 5).join(', ')}`)
    },
  },
  {
    title: 'close is idempotent, even if it is called twice at once',
    async run(world) {
      const store = await world.open()
      await created(store, newKey(), newRecord())
      await settles([store.close(), store.close()], 'Two calls of close at once resolve')
      await settles([store.close()], 'close after close resolves')
    },
  },
  {
    title: 'a store that was never used closes as well',
    async run(world) {
      const store = await world.open()
      await settles([store.close()], 'close of an unused store resolves')
      await settles([store.close()], 'close after close resolves')
    },
  },
  {
    title: 'after close every other call rejects',
    async run(world) {
      const store = await world.open()
      const key = newKey()
      const { expiresAt, seenAt, version } = await created(store, key, newRecord())
      await settles([store.close()], 'close resolves')
      const calls: Record<string, (() => Promise<unknown>) | undefined> = {
        read: () => store.read(key),
        write: () => store.write(key, newRecord(), version),
        'write with expected null': () => store.write(newKey(), newRecord(), null),
        touch: () => store.touch(key, { seenAt, expiresAt }, version),
        destroy: () => store.destroy(key),
        sweep: world.capabilities.includes('sweep') ? () => (store as SweepableStore).sweep() : undefined,
        keys: world.capabilities.includes('keys') ? () => firstOf(store) : undefined,
      }
      for (const [name, call] of Object.entries(calls)) {
        const isRejected = await call?.().then(
          () => false,
          (error: unknown) => !(error instanceof AssertionError) || Promise.reject(error),
        )
        ok(isRejected !== false, `After close every call rejects: an answer would sign people out. ${name} resolved`)
      }
    },
  },
  {
    title: 'closing one store leaves the data and the other stores on the world alone',
    needs: 'shared',
    async run(world) {
      const [one, other] = [await world.open(), await world.open()]
      const key = newKey()
      const record = await created(one, key, newRecord())
      await holds(other, key, record, 'A world is shared by all stores opened on it')
      await one.close()
      await holds(other, key, record, 'The other store still reads')
      const next = await replaced(other, key, record)
      await holds(await world.open(), key, next, 'A store opened later finds what the others left')
    },
  },
]

async function settles(closings: Promise<void>[], rule: string): Promise<void> {
  const failed = (await Promise.allSettled(closings)).find(closing => closing.status === 'rejected')
  ok(failed === undefined, `${rule}. It rejected with ${String(failed?.reason)}`)
}

async function firstOf(store: Store): Promise<string | undefined> {
  for await (const key of (store as EnumerableStore).keys()) return key
  return undefined
}
