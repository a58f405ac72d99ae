import type { EnumerableStore, StoreCall, SweepableStore } from 'koa-session-core'
import { closable, recordIn, sweepDelay, throwIfAborted } from 'koa-session-core/store'
import { Executor } from './executor.js'
import { checkedOptions, type PostgresStoreOptions } from './options.js'
import { Clients } from './pool.js'
import { postgresSchema } from './schema.js'
import { batch, statements } from './statements.js'
import { qualifiedName } from './table.js'

const missingColumn = '42703'

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
    const [stored] = rows as { readonly version: string }[]
    return stored ? stored.version === version : expected === null
  }

  return closable({
    name: 'postgres',

    async read(key, call) {
      const { rows } = await executor.run(call, sql.read, [key, Date.now()])
      const [row] = rows as { readonly text: string }[]
      return row && recordIn(row.text)
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
      let statement = sql.sweep
      for (let swept = 0; ; ) {
        try {
          const { rowCount } = await executor.run(call, statement, [latest])
          swept += rowCount ?? 0
          if ((rowCount ?? 0) < batch) return swept
        } catch (error) {
          if (statement === sql.sweepOld || Object(error).code !== missingColumn) throw error
          statement = sql.sweepOld
        }
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
        for (const { key } of rows as { readonly key: string }[]) {
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
