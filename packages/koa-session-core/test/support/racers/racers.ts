import { setTimeout as sleep } from 'node:timers/promises'
import { memoryStore, type Store } from 'koa-session-core'
import { type Flaws, oneFileStore } from './one-file-store.js'

const early = (...methods: NonNullable<Flaws['decidesEarly']>): Flaws => ({ decidesEarly: methods })
const isLive = (expiresAt = 0) => expiresAt > Date.now()

/** Stores in one file with a fault that only several processes can show. */
export const faulty: Record<string, Flaws> = {
  'no lock at all': early('create', 'recreate', 'replace', 'touch', 'destroy', 'sweep'),
  'no lock for a create': early('create'),
  'no lock for a create over an expired session': early('recreate'),
  'no lock for a replacement': early('replace'),
  'every write is an upsert': { upserts: true },
  'a replacement deletes and inserts': { insertsLater: true, changesOneByOne: ['replace'] },
  'a write loses to a touch': { givesWay: 'replace' },
  'no lock for a touch': early('touch'),
  'a touch puts back what a write replaced': { ...early('touch'), putsBack: row => isLive(row?.expiresAt) },
  'a touch puts back what was destroyed': {
    ...early('touch'),
    putsBack: (row, { version }) => !row || row.version === version,
  },
  'a touch puts back what a write ended': {
    ...early('touch'),
    putsBack: (row, { version }) => row?.version === version || (row !== undefined && !isLive(row.expiresAt)),
  },
  'a touch loses to a touch': { givesWay: 'touch' },
  'a destroy loses to a write': { givesWay: 'destroy' },
  'no lock for a sweep': early('sweep'),
  'a sweep counts what another one deleted': { countsEarly: true },
  'a read deletes what expired': { readDeletes: true },
  'a read takes two steps': { readsInParts: true },
  'a write changes the index later': { changesOneByOne: ['create', 'recreate', 'replace'] },
  'a destroy changes the index later': { changesOneByOne: ['destroy'] },
  'a sweep changes the index later': { changesOneByOne: ['sweep'] },
  'keys trusts an index that a destroy reads early': { ...early('destroy'), trustsIndex: true },
}

/** Stores for races, by the name in `RACE_STORE`. */
export const racers: Record<string, (world: string) => Store | Promise<Store>> = {
  ...Object.fromEntries(Object.entries(faulty).map(([name, flaws]) => [name, world => oneFileStore(world, flaws)])),
  right: world => oneFileStore(world),
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
  'write takes long': world => {
    const store = oneFileStore(world)
    return { ...store, write: (...args) => sleep(Number(process.env.RACE_PAUSE)).then(() => store.write(...args)) }
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
