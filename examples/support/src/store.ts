import { memoryStore, type Store } from 'koa-session-core'

type Environment = Readonly<Record<string, string | undefined>>

// Imported when chosen, so that a store whose package is not installed is in nobody's way.
const stores: Readonly<Record<string, (environment: Environment) => Promise<Store>>> = {
  memory: async () => memoryStore(),
  file: async ({ SESSION_DIRECTORY = 'sessions' }) => {
    const { fileStore } = await import('koa-session-store-file')
    return fileStore({ directory: SESSION_DIRECTORY })
  },
}

export const storeNames: readonly string[] = Object.keys(stores)

/** The store that `STORE` names: `memory` where it is not set. */
export async function openStore(environment: Environment = process.env): Promise<Store> {
  const { STORE = 'memory' } = environment
  const open = Object.hasOwn(stores, STORE) ? stores[STORE] : undefined
  if (!open) throw new TypeError(`STORE must be one of ${storeNames.join(', ')}, got ${JSON.stringify(STORE)}`)
  return open(environment)
}
