import { types } from 'node:util'

/** Undocumented place where the driver keeps the results of its monitors. */
interface Client {
  readonly topology?: {
    readonly description?: { readonly servers?: ReadonlyMap<string, { readonly error?: unknown }> }
  }
}

/** Why the driver finds no server. By default the driver reports the reason only after 30 s. */
export function serverError(client: unknown): unknown {
  const servers = (client as Client | undefined)?.topology?.description?.servers
  return types.isMap(servers) ? [...servers.values()].find(({ error }) => error)?.error : undefined
}

export const clientOf = (collection: object): unknown =>
  (collection as { readonly s?: { readonly db?: { readonly client?: unknown } } }).s?.db?.client
