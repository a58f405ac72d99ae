import { OptionCheck, storeHints } from 'koa-session-core/store'
import type { RedisClient } from './client.js'

export type RedisStoreOptions = {
  /**
   * Prefix of every key.
   * @default 'session:'
   */
  readonly prefix?: string
} & (
  | {
      /** A `Redis` or `Cluster` of ioredis. It stays yours: `close` leaves it open. */
      readonly client: RedisClient
      readonly url?: never
    }
  | {
      /** The server that the store connects to at its first call: `redis://`, or `rediss://` with TLS. */
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
    check.secret('client', isClient(client), 'must be a Redis or Cluster of ioredis', client, instead(client))
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

const isClient = (client: unknown): boolean => typeof client === 'object' && typeof Object(client).call === 'function'

/** If the database is a name instead of a number, the driver ends the process. */
const isNumbered = (url: unknown): boolean =>
  !/^rediss?:\/\/[^/?#]*\/(?!\d*\/?([?#]|$))|[?&]db=(?!\d+(&|$))/i.test(String(url))

/** A hint for values that people pass by mistake as a client. */
function instead(client: unknown): string {
  const { sendCommand, send_command, prototype } = Object(client)
  if (typeof client === 'function' && prototype !== undefined) return 'make one: new Redis(url)'
  return typeof (sendCommand ?? send_command) === 'function' ? 'a client of node-redis does not fit: use ioredis' : ''
}
