import type { EnumerableStore, SweepableStore } from 'koa-session-core'
import { closable, recordIn, sweepDelay, throwIfAborted } from 'koa-session-core/store'
import { Executor } from './executor.js'
import { checkedOptions, type MysqlStoreOptions } from './options.js'
import { MysqlConnections } from './pool.js'
import { mysqlSchema } from './schema.js'
import { keysBatch, statements, sweepBatch } from './statements.js'
import { quotedName } from './table.js'

const maxDataBytes = 2 ** 24 - 1

/** Sessions in a table of MySQL or MariaDB. */
export function mysqlStore(options: MysqlStoreOptions): SweepableStore & EnumerableStore {
  const { pool, url, table, createTable } = checkedOptions(options)
  const sql = statements(quotedName(table))
  const connections = new MysqlConnections(pool, url)
  const executor = new Executor(connections, createTable ? mysqlSchema({ table }) : undefined)

  return closable({
    name: 'mysql',

    async read(key, call) {
      const [text] = await executor.texts(call, sql.read, [key, Date.now()])
      return text === undefined ? undefined : recordIn(text)
    },

    async write(key, { data, expiresAt, seenAt, version, subject }, expected, call) {
      const row = [encoded(data), expiresAt, seenAt, version, subject ?? null, key]
      for (;;) {
        const now = Date.now()
        const isEnd = expiresAt <= now
        // Not with ON DUPLICATE KEY UPDATE, nor by deleting first: racing creators would deadlock.
        const changed =
          expected === null
            ? !isEnd &&
              ((await executor.change(call, sql.insert, row)) ||
                (await executor.change(call, sql.replaceExpired, [...row, now])))
            : isEnd
              ? await executor.change(call, sql.end, [key, now, expected])
              : await executor.change(call, sql.replace, [...row, now, expected])
        if (changed === 1) return true
        const [stored] = await executor.texts(call, sql.version, [key, now])
        if (stored === version) return true
        if (stored !== undefined || expected !== null) return false
        if (isEnd) return true
        // The row that held the key has gone meanwhile.
      }
    },

    async touch(key, { seenAt, expiresAt }, expected, call) {
      return (await executor.change(call, sql.touch, [expiresAt, seenAt, key, Date.now(), expected])) === 1
    },

    async destroy(key, call) {
      await executor.change(call, sql.destroy, [key])
    },

    async sweep(call) {
      const latest = Date.now() - sweepDelay
      for (let swept = 0; ; ) {
        const deleted = await executor.change(call, sql.sweep, [latest])
        swept += deleted
        if (deleted < sweepBatch) return swept
      }
    },

    async *keys(call) {
      const subject = call?.subject
      for (let last = ''; ; ) {
        const place = [last, Date.now()]
        const keys =
          subject === undefined
            ? await executor.texts(call, sql.keys, place)
            : await executor.texts(call, sql.keysOfSubject, [...place, subject])
        for (const key of keys) {
          yield key
          throwIfAborted(call)
          last = key
        }
        if (keys.length < keysBatch) return
      }
    },

    close: () => connections.close(),
  })
}

/** A server that is not strict would silently truncate data that are too long. */
function encoded(data: string): Buffer {
  const bytes = Buffer.from(data)
  if (bytes.length <= maxDataBytes) return bytes
  throw Object.assign(new Error(`the data of a session must be at most ${maxDataBytes} bytes, got ${bytes.length}`), {
    code: 'ER_DATA_TOO_LONG',
  })
}
