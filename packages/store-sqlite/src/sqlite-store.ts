import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EnumerableStore, SweepableStore } from 'koa-session-core'
import { closable, type Explaining, lastError, recordIn, sweepDelay, throwIfAborted } from 'koa-session-core/store'
import { Executor } from './executor.js'
import { checkedOptions, type SqliteStoreOptions } from './options.js'
import { sqliteSchema } from './schema.js'
import { batch, statements } from './statements.js'
import { quoted } from './table.js'

/** Sessions in a table of SQLite. */
export function sqliteStore(options: SqliteStoreOptions): SweepableStore & EnumerableStore & Explaining {
  const { database, path, table, createTable } = checkedOptions(options)
  const sql = statements(quoted(table))
  const executor = new Executor({ given: database, path, creation: createTable ? sqliteSchema({ table }) : undefined })

  return closable({
    name: 'sqlite',

    async read(key, call) {
      const text = await executor.use(call, () => executor.text(sql.read, key, Date.now()))
      return text === undefined ? undefined : recordIn(text)
    },

    async write(key, { data, expiresAt, seenAt, version, subject }, expected, call) {
      return executor.use(call, () => {
        const now = Date.now()
        const isEnd = expiresAt <= now
        const row = [data, expiresAt, seenAt, version, subject ?? null] as const
        const changed =
          expected === null
            ? !isEnd && executor.change(sql.create, key, ...row, now)
            : isEnd
              ? executor.change(sql.end, key, now, expected)
              : executor.change(sql.replace, ...row, key, now, expected)
        if (changed === 1) return true
        const stored = executor.text(sql.version, key, now)
        return stored === undefined ? isEnd && expected === null : stored === version
      })
    },

    async touch(key, { seenAt, expiresAt }, expected, call) {
      return executor.use(call, () => executor.change(sql.touch, expiresAt, seenAt, key, Date.now(), expected) === 1)
    },

    async destroy(key, call) {
      await executor.use(call, () => executor.change(sql.destroy, key))
    },

    async sweep(call) {
      const latest = Date.now() - sweepDelay
      const hour = Math.floor(latest / 3_600_000)
      for (let swept = 0; ; ) {
        const deleted = await executor.use(call, () => executor.change(sql.sweep, hour, latest))
        swept += deleted
        if (deleted < batch) return swept
        await nextTurn()
      }
    },

    async *keys(call) {
      const subject = call?.subject
      for (let last = ''; ; ) {
        const place = [last, Date.now()] as const
        const keys = await executor.use(call, () =>
          subject === undefined
            ? executor.texts(sql.keys, ...place)
            : executor.texts(sql.keysOfSubject, ...place, subject),
        )
        for (const key of keys) {
          yield key
          throwIfAborted(call)
          last = key
        }
        if (keys.length < batch) return
        await nextTurn()
      }
    },

    async close() {
      executor.close()
    },

    [lastError]: () => executor.lastError,
  })
}
