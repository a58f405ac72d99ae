import { OptionCheck, storeHints } from 'koa-session-core/store'
import type { MysqlPool } from './pool.js'
import { checkTable } from './table.js'

export type MysqlStoreOptions = {
  /**
   * Name of the table, at most 64 characters.
   * @default 'sessions'
   */
  readonly table?: string
  /**
   * Whether to create the table when a call finds it missing.
   * @default true
   */
  readonly createTable?: boolean
} & (
  | {
      /** A `Pool` of mysql2 or of mysql2/promise. It stays yours: `close` leaves it open. */
      readonly pool: MysqlPool
      readonly url?: never
    }
  | {
      /** The server that the store connects to at its first call: `mysql://`. */
      readonly url: string
      readonly pool?: never
    }
)

const names = {
  known: ['pool', 'url', 'table', 'createTable'],
  hints: {
    ...storeHints('pool: createPool({ … })'),
    ...{ client: 'pool', connectionlimit: 'use pool: createPool({ … })', createdatabasetable: 'createTable' },
    ...{ mysqlurl: 'url', schema: 'the name of the table is table; its columns are fixed', tablename: 'table' },
  },
}

const starts = ['mysql://', 'mysql2://', 'mariadb://']

export function checkedOptions(options: MysqlStoreOptions) {
  const check = new OptionCheck('mysqlStore()')
  check.names(options, names)
  const { pool, url, table = 'sessions', createTable = true } = options
  check.either(options, 'pool', 'url')
  if (pool !== undefined) {
    check.secret('pool', isPool(pool), 'must be a Pool of mysql2 or mysql2/promise', pool, instead(pool))
  }
  if (url !== undefined) check.url('url', url, starts)
  checkTable(check, table)
  check.that('createTable', typeof createTable === 'boolean', 'must be true or false', createTable)
  check.end()
  return { pool, url: url ?? '', table, createTable }
}

function isPool(pool: MysqlPool): boolean {
  if (typeof pool !== 'object' || pool === null) return false
  if ('promise' in pool && typeof pool.promise === 'function') return 'getConnection' in pool && !isCluster(pool)
  // One that takes a callback, such as those of mysql, gives no promise.
  return 'getConnection' in pool && pool.getConnection?.length === 0 && !isCluster(pool) && !('idleConnections' in pool)
}

const isCluster = (pool: object): boolean => 'of' in pool && 'add' in pool

/** A hint for values that people pass by mistake as a pool. */
function instead(pool: unknown): string {
  if (typeof pool === 'function') return 'make one: createPool(url)'
  const has = (member: string): boolean => member in Object(pool)
  if (isCluster(Object(pool))) return "pass cluster.of('*') of a PoolCluster of mysql2/promise"
  if (has('getConnection')) return 'pools of mysql and mariadb do not fit: use createPool of mysql2'
  return has('execute') || has('beginTransaction')
    ? 'all requests would share this connection: pass createPool(url)'
    : ''
}
