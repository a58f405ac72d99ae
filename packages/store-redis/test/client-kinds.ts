import { Redis as Valkey } from 'iovalkey'
import type { RedisClient } from 'koa-session-store-redis'
import { createClient, createClientPool } from 'redis'
import * as redis6 from 'redis-6'

export interface OpenClient {
  readonly client: RedisClient
  ping(): Promise<unknown>
  end(): unknown
}

type OpenKind = (url: string) => Promise<OpenClient>

const ignore = () => {}

// All cases at once wait for two connections: by default the pool gives up after three seconds.
const pool = { minimum: 2, maximum: 2, acquireTimeout: 120_000 }

/** Clients of an app, other than ioredis. */
export const clientKinds: Readonly<Record<string, OpenKind>> = {
  async 'node-redis 5'(url) {
    const client = createClient({ url }).on('error', ignore)
    await client.connect()
    return { client, ping: () => client.ping(), end: () => client.isOpen && client.destroy() }
  },
  async 'a pool of node-redis 5'(url) {
    const client = createClientPool({ url }, pool).on('error', ignore)
    await client.connect()
    return { client, ping: () => client.ping(), end: () => client.close() }
  },
  async 'node-redis 5 with types and RESP 3'(url) {
    const types = { 36: Buffer, 58: String, 43: Buffer }
    const client = createClient({ url, RESP: 3, commandOptions: { typeMapping: types } }).on('error', ignore)
    await client.connect()
    return { client, ping: () => client.ping(), end: () => client.isOpen && client.destroy() }
  },
  async 'node-redis 6'(url) {
    const client = redis6.createClient({ url }).on('error', ignore)
    await client.connect()
    return { client, ping: () => client.ping(), end: () => client.isOpen && client.destroy() }
  },
  async iovalkey(url) {
    const client = new Valkey(url).on('error', ignore)
    return { client, ping: () => client.ping(), end: () => client.disconnect() }
  },
}
