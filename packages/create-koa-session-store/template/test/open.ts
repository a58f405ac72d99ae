import { acmeStore } from 'koa-session-store-acme'

/** TODO 10: the server for the tests. The same `world` means the same data, and a new one is empty. */
export const create = (world: string) =>
  acmeStore({ url: process.env.ACME_URL ?? 'acme://127.0.0.1', prefix: `${world}:` })
