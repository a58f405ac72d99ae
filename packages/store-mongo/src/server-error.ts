import { types } from 'node:util'

/** Where the driver keeps what its monitors found out. Nothing of it is promised. */
interface Client {
  readonly topology?: {
    readonly description?: { readonly servers?: ReadonlyMap<string, { readonly error?: unknown }> }
  }
}

/** Why the driver finds no server. It tries for 30 s by default, and says it after that. */
export function serverError(client: unknown): unknown {
  const servers = (client as Client | undefined)?.topology?.description?.servers
  return types.isMap(servers) ? [...servers.values()].find(({ error }) => error)?.error : undefined
}

export const clientOf = (collection: object): unknown =>
  (collection as { readonly s?: { readonly db?: { readonly client?: unknown } } }).s?.db?.client
