import type { EnumerableStore, StoreCall, SweepableStore } from 'koa-session-core'
import { closable, throwIfAborted } from 'koa-session-core/store'
import { Executor } from './executor.js'
import { checkedOptions, type PostgresStoreOptions } from './options.js'
import { Clients } from './pool.js'
import { postgresSchema } from './schema.js'
import { batch, statements, sweepDelay } from './statements.js'
import { qualifiedName } from './table.js'

/** A row; a pool may have its own parser for `bigint`. */
interface Row {
  readonly key: string
  readonly data: string
  readonly expires_at: unknown
  readonly seen_at: unknown
  readonly version: string
  readonly subject: string | null
}

/** Sessions in a table of PostgreSQL. */
export function postgresStore(options: PostgresStoreOptions): SweepableStore & EnumerableStore {
  const { pool, url, table, schema, createTable } = checkedOptions(options)
  const sql = statements(qualifiedName(table, schema))
  const clients = new Clients(pool, url)
  const creation = createTable ? postgresSchema(schema === undefined ? { table } : { table, schema }) : undefined
  const executor = new Executor(clients, creation)

  /** Destroys the session of version `expected`. If that is `null`, there is nothing to destroy. */
  async function end(key: string, version: string, expected: string | null, now: number, call?: StoreCall) {
    if (expected !== null) {
      const { rowCount } = await executor.run(call, sql.end, [key, now, expected])
      if (rowCount === 1) return true
    }
    const { rows } = await executor.run(call, sql.version, [key, now])
    const [stored] = rows as Row[]
    return stored ? stored.version === version : expected === null
  }

  return closable({
    name: 'postgres',

    async read(key, call) {
      const { rows } = await executor.run(call, sql.read, [key, Date.now()])
      const [row] = rows as Row[]
      if (!row) return undefined
      const { data, expires_at, seen_at, version, subject } = row
      const record = { data, expiresAt: Number(expires_at), seenAt: Number(seen_at), version }
      return subject === null ? record : { ...record, subject }
    },

    async write(key, { data, expiresAt, seenAt, version, subject }, expected, call) {
      const now = Date.now()
      if (expiresAt <= now) return end(key, version, expected, now, call)
      const values = [key, data, expiresAt, seenAt, version, subject ?? null, now]
      const { rowCount } =
        expected === null
          ? await executor.run(call, sql.create, values)
          : await executor.run(call, sql.replace, [...values, expected])
      return rowCount === 1
    },

    async touch(key, { seenAt, expiresAt }, expected, call) {
      const { rowCount } = await executor.run(call, sql.touch, [key, expiresAt, seenAt, Date.now(), expected])
      return rowCount === 1
    },

    async destroy(key, call) {
      await executor.run(call, sql.destroy, [key])
    },

    async sweep(call) {
      const latest = Date.now() - sweepDelay
      for (let swept = 0; ; ) {
        const { rowCount } = await executor.run(call, sql.sweep, [latest])
        swept += rowCount ?? 0
        if ((rowCount ?? 0) < batch) return swept
      }
    },

    async *keys(call) {
      const subject = call?.subject
      for (let last = ''; ; ) {
        const place = [last, Date.now()]
        const { rows } =
          subject === undefined
            ? await executor.run(call, sql.keys, place)
            : await executor.run(call, sql.keysOfSubject, [...place, subject])
        for (const { key } of rows as Row[]) {
          yield key
          throwIfAborted(call)
          last = key
        }
        if (rows.length < batch) return
      }
    },

    close: () => clients.close(),
  })
}
