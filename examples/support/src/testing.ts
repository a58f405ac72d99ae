import { type ServerKind, serverKinds, sharedServer, urlVariables } from '@koa-session/test-servers'
import { storeNames } from './store.js'

/** A store and the environment that opens it. */
export interface OpenableStore {
  readonly name: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Every store whose server can start. The others are skipped with a warning, and fail with CI=true. */
export async function openableStores(): Promise<OpenableStore[]> {
  const stores: OpenableStore[] = []
  for (const name of storeNames) {
    const environment: Record<string, string | undefined> = { ...process.env, STORE: name, SESSION_FILE: ':memory:' }
    const kind = serverKinds.find(one => one === name)
    const server = kind && (await sharedServer(kind))
    if (kind && !server) continue
    if (kind && server) environment[urlVariables[kind satisfies ServerKind]] = server.url
    stores.push({ name, environment })
  }
  return stores
}
