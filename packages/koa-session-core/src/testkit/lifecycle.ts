import { ok } from 'node:assert/strict'
import { created, holds, is, replaced } from './expectations.js'
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
        const store: object = await world.open()
        const declared = world.capabilities.includes(ability)
        const present = typeof (store as Record<string, unknown>)[ability] === 'function'
        is(present, declared, `The method ${ability} is ${declared ? '' : 'not '}there`)
      },
    }),
  ),
  {
    title: 'close is idempotent, also when called twice at once',
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
