import { OptionCheck, storeHints } from 'koa-session-core/store'
import type { Client } from './client.js'

export type AcmeStoreOptions = {
  /**
   * The beginning of every key, so that several apps can share one server.
   * @default 'session:'
   */
  readonly prefix?: string
} & (
  | {
      /** A client of the driver. It stays yours: `close` leaves it open. */
      readonly client: Client
      readonly url?: never
    }
  | {
      /** The server that the store connects to at its first call: `acme://`. */
      readonly url: string
      readonly client?: never
    }
)

const names = { known: ['client', 'url', 'prefix'], hints: storeHints('client') }

export function checkedOptions(options: AcmeStoreOptions) {
  const check = new OptionCheck('acmeStore()')
  check.names(options, names)
  const { client, url, prefix = 'session:' } = options
  check.either(options, 'client', 'url')
  // TODO 3: name the methods of the client that the store calls.
  if (client !== undefined) check.methods('client', client, ['todo'])
  if (url !== undefined) check.url('url', url, ['acme://'])
  check.that('prefix', typeof prefix === 'string' && prefix !== '', 'must be a non-empty string', prefix)
  check.end()
  return { client, url: url ?? '', prefix }
}
