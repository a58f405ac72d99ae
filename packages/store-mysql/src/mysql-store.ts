import { inspect } from 'node:util'
import type { EnumerableStore, SweepableStore } from 'koa-session-core'
import { Executor } from './executor.js'
import { Connections, type MysqlPool } from './pool.js'
import { mysqlSchema, quotedName } from './schema.js'
import { keysBatch, statements, sweepBatch, sweepDelay } from './statements.js'

export type MysqlStoreOptions = {
  /**
   * The table sessions are in, of at most 64 characters.
   * @default 'sessions'
   */
  readonly table?: string
  /**
   * Whether the table is made when a call finds that it is missing.
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
      /** Where the store connects by itself when it is first used: `mysql://`. */
      readonly url: string
      readonly pool?: never
    }
)

/** A row; a pool may have `bigint` columns as numbers or as text. */
interface Row {
  readonly key: string
  readonly data: Buffer
  readonly expires_at: unknown
  readonly seen_at: unknown
  readonly version: string
  readonly subject: string | null
}

const maxDataBytes = 2 ** 24 - 1

/** Sessions in a table of MySQL or MariaDB. */
export function mysqlStore(options: MysqlStoreOptions): SweepableStore & EnumerableStore {
  const { pool, url, table, createTable } = checkedOptions(options)
  const sql = statements(quotedName('mysqlStore', table))
  const connections = new Connections(pool, url)
  const executor = new Executor(connections, createTable ? mysqlSchema({ table }) : undefined)

  return {
    name: 'mysql',

    async read(key, { signal } = {}) {
      const [row] = (await executor.rows(signal, sql.read, [key, Date.now()])) as Row[]
      if (!row) return undefined
      const { data, expires_at, seen_at, version, subject } = row
      const record = { data: data.toString(), expiresAt: Number(expires_at), seenAt: Number(seen_at), version }
      return subject === null ? record : { ...record, subject }
    },

    async write(key, { data, expiresAt, seenAt, version, subject }, expected, { signal } = {}) {
      const row = [encoded(data), expiresAt, seenAt, version, subject ?? null, key]
      for (;;) {
        const now = Date.now()
        // Not with ON DUPLICATE KEY UPDATE, nor by deleting first: racing creators would deadlock.
        const changed =
          expected === null
            ? (await executor.change(signal, sql.insert, row)) ||
              (await executor.change(signal, sql.replaceExpired, [...row, now]))
            : await executor.change(signal, sql.replace, [...row, now, expected])
        if (changed === 1) return true
        const [stored] = (await executor.rows(signal, sql.version, [key, now])) as Row[]
        if (stored?.version === version) return true
        if (stored || expected !== null) return false
        // What kept the key from being new has gone meanwhile.
      }
    },

    async touch(key, { seenAt, expiresAt }, expected, { signal } = {}) {
      return (await executor.change(signal, sql.touch, [expiresAt, seenAt, key, Date.now(), expected])) === 1
    },

    async destroy(key, { signal } = {}) {
      await executor.change(signal, sql.destroy, [key])
    },

    async sweep({ signal } = {}) {
      const latest = Date.now() - sweepDelay
      for (let swept = 0; ; ) {
        const deleted = await executor.change(signal, sql.sweep, [latest])
        swept += deleted
        if (deleted < sweepBatch) return swept
      }
    },

    async *keys({ signal, subject } = {}) {
      for (let last = ''; ; ) {
        const place = [last, Date.now()]
        const rows =
          subject === undefined
            ? await executor.rows(signal, sql.keys, place)
            : await executor.rows(signal, sql.keysOfSubject, [...place, subject])
        for (const { key } of rows as Row[]) {
          yield key
          signal?.throwIfAborted()
          last = key
        }
        if (rows.length < keysBatch) return
      }
    },

    close: () => connections.close(),
  }
}

/** A server that is not strict would cut what is too long, and say nothing. */
function encoded(data: string): Buffer {
  const bytes = Buffer.from(data)
  if (bytes.length <= maxDataBytes) return bytes
  throw Object.assign(new Error(`the data of a session must be at most ${maxDataBytes} bytes, got ${bytes.length}`), {
    code: 'ER_DATA_TOO_LONG',
  })
}

function checkedOptions(options: MysqlStoreOptions) {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`mysqlStore: options must be an object with pool or url, got ${inspect(options)}`)
  }
  const { pool, url, table = 'sessions', createTable = true, ...unknown } = options
  for (const [name, value] of Object.entries(unknown)) {
    throw new TypeError(`mysqlStore: unknown option ${name} (pool, url, table, createTable), got ${inspect(value)}`)
  }
  if ((pool === undefined) === (url === undefined)) {
    throw new TypeError(`mysqlStore: options must have either pool or url, got ${pool ? 'both' : 'neither'}`)
  }
  if (pool !== undefined && !isPool(pool)) {
    throw new TypeError(
      `mysqlStore: pool must be a Pool of mysql2 or mysql2/promise, got ${inspect(pool, { depth: 0 })}`,
    )
  }
  // Without the value: there may be a password in it.
  if (url !== undefined && !(typeof url === 'string' && /^mysql:\/\//.test(url) && URL.canParse(url))) {
    throw new TypeError(`mysqlStore: url must begin with mysql://, got ${typeof url}`)
  }
  if (typeof createTable !== 'boolean') {
    throw new TypeError(`mysqlStore: createTable must be true or false, got ${inspect(createTable)}`)
  }
  return { pool, url: url ?? '', table, createTable }
}

const isPool = (pool: unknown): boolean =>
  typeof pool === 'object' && pool !== null && 'getConnection' in pool && typeof pool.getConnection === 'function'
