import { OptionCheck, storeHints } from 'koa-session-core/store'
import type { RedisClient } from './clients.js'

export type RedisStoreOptions = {
  /**
   * Prefix of every key.
   * @default 'session:'
   */
  readonly prefix?: string
} & (
  | {
      /** A client of ioredis, iovalkey or node-redis, a Cluster too. It stays yours: `close` leaves it open. */
      readonly client: RedisClient
      readonly url?: never
    }
  | {
      /** The server that the store connects to at its first call, by ioredis: `redis://`, or `rediss://` with TLS. */
      readonly url: string
      readonly client?: never
    }
)

const names = {
  known: ['client', 'url', 'prefix'],
  hints: { ...storeHints('client: new Redis({ … })'), keyprefix: 'prefix', redis: 'client', redisurl: 'url' },
}

/** The URLs that ioredis accepts, including the path of a socket. */
const starts = ['redis://', 'rediss://', '/']

export function checkedOptions(options: RedisStoreOptions) {
  const check = new OptionCheck('redisStore()')
  check.names(options, names)
  const { client, url, prefix = 'session:' } = options
  check.either(options, 'client', 'url')
  if (client !== undefined) {
    check.secret(
      'client',
      isClient(client),
      'must be a client of ioredis, iovalkey or node-redis',
      client,
      instead(client),
    )
  }
  if (url !== undefined) {
    check.url('url', url, starts)
    check.secret(
      'url',
      isNumbered(url),
      'must name its database by a number, as in redis://127.0.0.1/1, or leave it out',
      url,
    )
  }
  check.that('prefix', typeof prefix === 'string' && prefix !== '', 'must be a non-empty string', prefix)
  check.end()
  return { client, url: url ?? '', prefix }
}

const isClient = (client: unknown): boolean => {
  const { call, sendCommand, isOpen } = Object(client)
  if (typeof client !== 'object') return false
  return typeof call === 'function' || (typeof sendCommand === 'function' && typeof isOpen === 'boolean')
}

/** If the database is a name instead of a number, the driver ends the process. */
const isNumbered = (url: unknown): boolean =>
  typeof url !== 'string' || !/^rediss?:\/\/[^/?#]*\/(?!\d*\/?([?#]|$))|[?&]db=(?!\d+(&|$))/i.test(url)

/** A hint for values that people pass by mistake as a client. */
function instead(client: unknown): string {
  const { sendCommand, send_command, prototype, createClient } = Object(client)
  if (typeof client === 'function' && prototype !== undefined) return 'make one: new Redis(url)'
  if (typeof createClient === 'function') return 'make one: await createClient({ url }).connect()'
  const isOld = typeof (sendCommand ?? send_command) === 'function'
  return isOld ? 'a client of node-redis must be of version 5 or later, and not its legacy()' : ''
}
