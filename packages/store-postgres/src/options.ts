import { OptionCheck, storeHints } from 'koa-session-core/store'
import type { PostgresPool } from './pool.js'
import { checkNames } from './table.js'

export type PostgresStoreOptions = {
  /**
   * Name of the table, at most 48 bytes.
   * @default 'sessions'
   */
  readonly table?: string
  /**
   * Schema of the table. It must exist.
   * @default the first of the connection's `search_path`
   */
  readonly schema?: string
  /**
   * Whether to create the table and its indexes when a call finds the table missing.
   * @default true
   */
  readonly createTable?: boolean
} & (
  | {
      /** A `Pool` of pg. It stays yours: `close` leaves it open. */
      readonly pool: PostgresPool
      readonly url?: never
    }
  | {
      /** The server that the store connects to at its first call: `postgres://` or `postgresql://`. */
      readonly url: string
      readonly pool?: never
    }
)

const names = {
  known: ['pool', 'url', 'table', 'schema', 'createTable'],
  hints: {
    ...storeHints('pool: new pg.Pool({ … })'),
    ...{ client: 'pool', conobject: 'pool', createtableifmissing: 'createTable', pgpromise: 'use pool: db.$pool' },
    ...{ postgresurl: 'url', schemaname: 'schema', tablename: 'table' },
  },
}

/** The URLs that pg accepts, including the path of a socket. */
const starts = ['postgres://', 'postgresql://', 'socket:', '/']

export function checkedOptions(options: PostgresStoreOptions) {
  const check = new OptionCheck('postgresStore()')
  check.names(options, names)
  const { pool, url, table = 'sessions', schema, createTable = true } = options
  check.either(options, 'pool', 'url')
  if (pool !== undefined) check.secret('pool', isPool(pool), 'must be a Pool of pg', pool, instead(pool))
  if (url !== undefined) check.url('url', url, starts, parse)
  checkNames(check, table, schema)
  check.that('createTable', typeof createTable === 'boolean', 'must be true or false', createTable)
  check.end()
  return { pool, url: url ?? '', table, schema, createTable }
}

const isPool = (pool: unknown): boolean =>
  typeof pool === 'object' && typeof Object(pool).connect === 'function' && !isClient(pool) && !isPgPromise(pool)

const isClient = (pool: unknown): boolean => 'connectionParameters' in Object(pool)
const isPgPromise = (pool: unknown): boolean => '$pool' in Object(pool)

/** A hint for values that people pass by mistake as a pool. */
function instead(pool: unknown): string {
  if (isClient(pool)) return 'all requests would share this pg.Client: pass a pg.Pool'
  if (isPgPromise(pool)) return 'pass db.$pool of pg-promise'
  return typeof pool === 'function' || 'Pool' in Object(pool) ? 'make one: new pg.Pool({ connectionString })' : ''
}

/** Parses as pg does: a host may be missing, and a % that begins no escape is a literal. */
function parse(text: string): void {
  if (text.startsWith('/')) return
  const encoded = / |%(?![a-f0-9]{2})/i.test(text) ? encodeURI(text).replace(/%25(\d\d)/g, '%$1') : text
  const url = URL.canParse(encoded) ? encoded : encoded.replace('@/', '@localhost/')
  const { username, password, hostname } = new URL(url)
  for (const part of [username, password, hostname]) decodeURIComponent(part)
}
