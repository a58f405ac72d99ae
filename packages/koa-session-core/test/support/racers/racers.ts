import { memoryStore, type Store } from 'koa-session-core'
import { oneFileStore } from './one-file-store.js'

/** Stores for races, by the name in `RACE_STORE`. */
export const racers: Record<string, (world: string) => Store | Promise<Store>> = {
  right: world => oneFileStore(world),
  'no lock at all': world => oneFileStore(world, { locks: () => false }),
  'no lock for a create': world => oneFileStore(world, { locks: kind => kind !== 'create' }),
  'no lock for a replacement': world => oneFileStore(world, { locks: kind => kind !== 'replace' }),
  'every write is an upsert': world => oneFileStore(world, { upserts: true }),
  memory: () => memoryStore(),
  'create throws': () => {
    throw new Error('no server')
  },
  'create never settles': () => new Promise(() => {}),
  'read never settles': world => ({ ...oneFileStore(world), read: () => new Promise(() => {}) }),
  'write never wins': world => {
    const store = oneFileStore(world)
    return { ...store, write: async (key, record, expected) => expected === null && store.write(key, record, expected) }
  },
  'read keeps its process busy for ever': world => ({
    ...oneFileStore(world),
    async read() {
      for (;;);
    },
  }),
  'destroy ends its process': world => ({ ...oneFileStore(world), destroy: async () => process.exit(7) }),
  'close never settles': world => ({ ...oneFileStore(world), close: () => new Promise(() => {}) }),
}

export const create = (world: string): Store | Promise<Store> => {
  const open = racers[process.env.RACE_STORE ?? '']
  if (!open) throw new Error(`no store ${process.env.RACE_STORE}`)
  return open(world)
}
