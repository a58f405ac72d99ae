import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { newKey, newRecord, newWorld, raceSettings, repeatedCases, type StoreCase } from '@koa-session/store-tests'
import type { Store } from 'koa-session-core'
import { isSessionError, session } from 'koa-session-core'
import { conformanceCases, raceOfProcesses } from 'koa-session-core/testkit'
import { type SqliteDatabase, sqliteSchema, sqliteStore } from 'koa-session-store-sqlite'
import { type Closable, connect, hasNodeSqlite, open } from './open.js'

const capabilities = ['sweep', 'keys', 'shared'] as const
const hour = 3_600_000

/** Without a signal a call gives up by itself, soon on a busy machine. */
const patient = () => ({ signal: new AbortController().signal })

/** Cases for every driver. `root` is an empty folder. They may run at once, except where `isAlone`. */
export function sqliteCases(root: string): StoreCase[] {
  const file = () => join(root, `${newWorld()}.db`)

  /** A connection in the mode that the README advises. */
  const inWal = (path: string) => {
    const database = connect(path)
    database.exec('PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 10')
    return database
  }

  /** A store with one session, in a file that `other` has locked. `watched` stands between the store and its connection. */
  async function locked(watched = (database: SqliteDatabase): SqliteDatabase => database) {
    const path = file()
    const [database, other] = [inWal(path), inWal(path)]
    const store = sqliteStore({ database: watched(database) })
    const [key, record] = [newKey(), newRecord()]
    await store.write(key, record, null)
    other.exec('BEGIN IMMEDIATE')
    const close = () => {
      database.close()
      other.close()
    }
    return { store, key, record, other, close }
  }

  const memory = connect(':memory:')
  const inMemory = repeatedCases({ create: table => sqliteStore({ database: memory, table }), capabilities })

  return [
    ...conformanceCases({ create: world => open(root, world), capabilities }),
    ...inMemory.map(({ title, run }) => ({ title: `in memory: ${title}`, run })),
    {
      title: 'the race of processes that the testkit offers to authors of stores',
      isAlone: true,
      async run() {
        process.env.SQLITE_WORLDS = root
        const module = new URL('open.js', import.meta.url)
        await raceOfProcesses({ module, ...raceSettings })
      },
    },
    {
      title: 'after kill -9 in the middle of writes every acknowledged one is there, and the file is sound',
      isAlone: true,
      async run() {
        const world = newWorld()
        const key = newKey()
        let before = -1
        for (const wanted of [20, 40]) {
          const acknowledged = await killedWriter(root, world, key, before + wanted)
          const store = open(root, world)
          const found = Number((await store.read(key))?.data)
          assert.ok(found === acknowledged || found === acknowledged + 1, `${found} after ${acknowledged}`)
          await store.close()
          before = found
        }
        const database = connect(join(root, `${world}.db`))
        assert.deepEqual(firstValue(database, 'PRAGMA integrity_check'), 'ok')
        database.close()
      },
    },
    {
      title:
        'while another connection holds the lock a write waits without blocking the process, and a read is answered',
      async run() {
        const { store, key, record, other, close } = await locked()
        let isAnswered = false
        const next = newRecord()
        const writing = store.write(key, next, record.version, patient()).finally(() => {
          isAnswered = true
        })
        for (let turn = 0; turn < 20; turn++) {
          await sleep(1)
          assert.deepEqual(await store.read(key), record)
        }
        assert.equal(isAnswered, false)
        other.exec('COMMIT')
        assert.equal(await writing, true)
        assert.deepEqual(await store.read(key), next)
        close()
      },
    },
    {
      title: 'many calls that wait for a lock leave the process free, and all are carried out when the lock is gone',
      async run() {
        let attempts = 0
        const { store, other, close } = await locked(database => ({
          exec: sql => database.exec(sql),
          prepare(sql) {
            const statement = database.prepare(sql)
            return {
              run(...values) {
                attempts++
                return statement.run(...values)
              },
              get: (...values) => statement.get(...values),
              all: (...values) => statement.all(...values),
            }
          },
        }))
        attempts = 0
        const writing = Array.from({ length: 50 }, () => store.write(newKey(), newRecord(), null, patient()))
        for (let turn = 0; turn < 20; turn++) await sleep(1)
        // The first attempt of each, and then of one at a time.
        assert.ok(attempts < 50 + 30, `${attempts} attempts`)
        other.exec('COMMIT')
        assert.deepEqual(await Promise.all(writing), Array(50).fill(true))
        close()
      },
    },
    {
      title: 'a call that waits for a lock ends when it is aborted, and did nothing',
      async run() {
        const { store, key, record, other, close } = await locked()
        const controller = new AbortController()
        const writing = store.write(key, newRecord(), record.version, controller)
        await sleep(20)
        controller.abort(new Error('the reason'))
        await assert.rejects(writing, /the reason/)
        const sessions = session({ store, storeTimeout: 200 })
        const error = await sessions.create({}).catch((thrown: unknown) => thrown)
        assert.ok(isSessionError(error) && error.code === 'ERR_SESSION_TIMEOUT')
        assert.match(
          error.message,
          /within storeTimeout \(200 ms\); the last error was SQLITE_BUSY: database is locked$/,
        )
        other.exec('ROLLBACK')
        await sleep(100)
        assert.deepEqual(await store.read(key), record)
        close()
      },
    },
    {
      title: 'while the app has a transaction open on its connection calls wait, so that it undoes none of them',
      async run() {
        const database = connect(':memory:')
        database.exec('CREATE TABLE theirs (n INTEGER)')
        const store = sqliteStore({ database })
        const [key, record] = [newKey(), newRecord()]
        database.exec('BEGIN; INSERT INTO theirs VALUES (1)')
        const writing = store.write(key, record, null, patient())
        await sleep(20)
        database.exec('ROLLBACK')
        assert.equal(await writing, true)
        assert.deepEqual(await store.read(key), record)
        database.close()
      },
    },
    {
      title: 'no statement scans the table, whether it is empty or full, and none sorts',
      async run() {
        const real = connect(':memory:')
        const texts = new Set<string>()
        const database: SqliteDatabase = {
          exec: sql => real.exec(sql),
          prepare(sql) {
            texts.add(sql)
            return real.prepare(sql)
          },
        }
        const store = sqliteStore({ database })
        await callAll(store)
        assert.equal(texts.size, 10)
        const plans = () => {
          for (const sql of texts) {
            const values = Array(sql.split('?').length - 1).fill(1)
            const steps = real.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...values) as { detail: string }[]
            for (const { detail } of steps)
              assert.doesNotMatch(detail, /\bSCAN\b(?! CONSTANT)|TEMP B-TREE/, `${sql}\n${detail}`)
          }
        }
        plans()
        for (let n = 0; n < 2_000; n++) {
          await store.write(newKey(), newRecord({ expiresAt: Date.now() + n * hour, subject: newKey() }), null)
        }
        real.exec('ANALYZE')
        plans()
        real.close()
      },
    },
    {
      title: 'a touch and a write within an hour change no index',
      async run() {
        const database = connect(':memory:')
        const store = sqliteStore({ database })
        const start = Math.ceil(Date.now() / hour) * hour + hour / 4
        const [key, record] = [newKey(), newRecord({ expiresAt: start })]
        await store.write(key, record, null)
        const opcodes = (
          database.prepare('EXPLAIN UPDATE sessions SET expires_at = ?, seen_at = ? WHERE key = ?').all(1, 2, key) as {
            opcode: string
          }[]
        ).map(({ opcode }) => opcode)
        assert.equal(opcodes.filter(opcode => opcode === 'IdxDelete').length, 1, 'only sweep_hour depends on the times')
        assert.equal(await store.touch(key, { seenAt: 2, expiresAt: start + 60_000 }, record.version), true)
        assert.equal(firstValue(database, 'SELECT sweep_hour FROM sessions'), Math.floor(start / hour))
        database.close()
      },
    },
    {
      title: 'ten starters at once make one table, and each of them works',
      async run() {
        const path = file()
        const databases = Array.from({ length: 10 }, () => inWal(path))
        const stores = databases.map(database => sqliteStore({ database }))
        const answers = await Promise.all(stores.map(store => store.write(newKey(), newRecord(), null)))
        assert.deepEqual(answers, Array(10).fill(true))
        assert.equal(firstValue(databases[0] as Closable, 'SELECT count(*) FROM sessions'), 10)
        for (const database of databases) database.close()
      },
    },
    {
      title: 'the exported schema makes what the store makes, and changes nothing the second time',
      async run() {
        const database = connect(':memory:')
        await callAll(sqliteStore({ database, table: 'made' }))
        for (const _ of ['first', 'second']) database.exec(sqliteSchema({ table: 'exported' }))
        const shape = (table: string) =>
          database
            .prepare('SELECT sql AS text FROM sqlite_schema WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY name')
            .all(table)
            .map(row => (row as { text: string }).text.replaceAll(table, 'TABLE'))
        assert.deepEqual(shape('exported'), shape('made'))
        assert.equal(shape('made').length, 3)
        database.close()
      },
    },
    {
      title: 'without createTable a missing table is an error and stays missing, and a dropped table is made again',
      async run() {
        const database = connect(':memory:')
        const strict = sqliteStore({ database, createTable: false })
        await assert.rejects(strict.write(newKey(), newRecord(), null), /no such table: sessions/)
        await assert.rejects(strict.sweep(), /no such table: sessions/)
        assert.equal(firstValue(database, 'SELECT count(*) FROM sqlite_schema'), 0)
        const store = sqliteStore({ database })
        await callAll(store)
        database.exec('DROP TABLE sessions')
        await callAll(store)
        database.close()
      },
    },
    {
      title: 'a table may have any name without a dot',
      async run() {
        const database = connect(':memory:')
        for (const table of [
          '"; DROP TABLE x; --',
          "Robert'); --",
          'a "b" c',
          '?',
          'SELECT',
          'Üñí✓🍪',
          '\\',
          '%s',
          ' ',
          '\n',
        ]) {
          await callAll(sqliteStore({ database, table }))
          assert.equal(firstValue(database, 'SELECT count(*) FROM sqlite_schema WHERE name = ?', table), 1, table)
        }
        database.close()
      },
    },
    {
      title: 'a table of another program stays as it is, and every call that could change or show it says so',
      async run() {
        const columns = 'data TEXT, expires_at INTEGER, seen_at INTEGER'
        for (const [definition, values] of [
          ['id INTEGER PRIMARY KEY, token TEXT, user_id INTEGER', "1, 'token', 7"],
          ['key TEXT PRIMARY KEY, value TEXT, expires_at INTEGER', "'a', 'b', 1"],
          [`key TEXT PRIMARY KEY, ${columns}, subject TEXT`, "'a', 'b', 1, 1, NULL"],
          [`key TEXT PRIMARY KEY, ${columns}, version TEXT, subject TEXT`, "'a', 'b', 1, 1, 'c', NULL"],
          [`key TEXT, ${columns}, version TEXT, subject TEXT`, "'a', 'b', 1, 1, 'c', NULL"],
        ]) {
          const database = connect(':memory:')
          database.exec(`CREATE TABLE sessions (${definition}); INSERT INTO sessions VALUES (${values})`)
          const content = () =>
            JSON.stringify([...database.prepare('SELECT * FROM sessions').all(), ...schemaOf(database)])
          const before = content().replace(/"_metadata":\{[^}]*\}/g, '')
          const store = sqliteStore({ database })
          const message =
            /columns of a session .*, so it belongs to another program: set the option table to another name/
          const refuses = (call: Promise<unknown>) => assert.rejects(call, message)
          await refuses(store.read(newKey()))
          await refuses(store.write(newKey(), newRecord(), null))
          await refuses(store.write(newKey(), newRecord(), 'expected'))
          await refuses(store.touch(newKey(), { seenAt: 1, expiresAt: Date.now() + 1_000 }, 'a'))
          await refuses(store.destroy(newKey()))
          await refuses(store.sweep())
          await refuses(store.keys()[Symbol.asyncIterator]().next())
          await refuses(store.keys({ subject: newKey() })[Symbol.asyncIterator]().next())
          assert.equal(content().replace(/"_metadata":\{[^}]*\}/g, ''), before)
          database.close()
        }
      },
    },
    {
      title: 'in a full database a write is SQLITE_FULL, the old record is intact, and the session can be ended',
      async run() {
        const database = inWal(file())
        const store = sqliteStore({ database })
        const [key, record] = [newKey(), newRecord()]
        await store.write(key, record, null)
        database.exec(`PRAGMA max_page_count = ${firstValue(database, 'PRAGMA page_count')}`)
        const large = newRecord({ data: 'x'.repeat(100_000) })
        await assert.rejects(store.write(key, large, record.version), { code: 'SQLITE_FULL' })
        await assert.rejects(store.write(newKey(), large, null), { code: 'SQLITE_FULL' })
        assert.deepEqual(await store.read(key), record)
        assert.equal(await store.write(key, newRecord({ expiresAt: 1 }), record.version), true)
        assert.equal(await store.read(key), undefined)
        database.close()
      },
    },
    {
      title: 'a file that is no database, or may not be written, is an error that says so, and is left alone',
      async run() {
        const path = file()
        const content = 'Not a database, but something of somebody. '.repeat(100)
        await writeFile(path, content)
        const database = connect(path)
        const store = sqliteStore({ database })
        await assert.rejects(store.read(newKey()), { code: 'SQLITE_NOTADB' })
        await assert.rejects(store.write(newKey(), newRecord(), null), { code: 'SQLITE_NOTADB' })
        database.close()
        assert.equal(await readFile(path, 'utf8'), content)

        const closed = inWal(file())
        const readable = sqliteStore({ database: closed })
        const [key, record] = [newKey(), newRecord()]
        await readable.write(key, record, null)
        closed.exec('PRAGMA query_only = 1')
        await assert.rejects(readable.write(key, newRecord(), record.version), { code: 'SQLITE_READONLY' })
        await assert.rejects(readable.destroy(key), { code: 'SQLITE_READONLY' })
        assert.deepEqual(await readable.read(key), record)
        closed.exec('PRAGMA query_only = 0')
        await readable.destroy(key)
        closed.close()
      },
    },
    {
      title: 'close leaves a database that was passed in open',
      async run() {
        const database = connect(':memory:')
        const store = sqliteStore({ database })
        await callAll(store)
        await Promise.all([store.close(), store.close()])
        await assert.rejects(store.read(newKey()), /^Error: the sqlite store is closed$/)
        assert.equal(firstValue(database, 'SELECT count(*) FROM sessions'), 0)
        database.close()
      },
    },
    {
      title: 'a sweep of many rows lets others have their turn',
      async run() {
        const database = connect(':memory:')
        const store = sqliteStore({ database })
        await store.sweep()
        database.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
          INSERT INTO sessions (key, data, expires_at, seen_at, version) SELECT 'k' || i, '', i, 1, 'v' FROM n`)
        let turns = 0
        let isOver = false
        const others = (async () => {
          for (; !isOver; turns++) await nextTurn()
        })()
        assert.equal(await store.sweep(), 2_000)
        isOver = true
        await others
        assert.ok(turns >= 5, `${turns} turns`)
        database.close()
      },
    },
    ...(hasNodeSqlite ? ownFileCases(root) : []),
  ]
}

/** Cases of a file that the store opens itself. */
function ownFileCases(root: string): StoreCase[] {
  return [
    {
      title: 'the file and what belongs to it may be read by its owner only, and are as durable as the README says',
      async run() {
        const path = join(root, `${newWorld()}.db`)
        const store = sqliteStore({ path })
        await assert.rejects(stat(path), { code: 'ENOENT' }, 'construction does no I/O')
        await callAll(store)
        for (const suffix of ['', '-wal', '-shm']) assert.equal((await stat(path + suffix)).mode & 0o777, 0o600)
        await store.close()
        await assert.rejects(stat(`${path}-wal`), { code: 'ENOENT' }, 'close closes the file')
        const database = connect(path)
        assert.equal(firstValue(database, 'PRAGMA journal_mode'), 'wal')
        database.close()
      },
    },
    {
      title: 'a folder that is missing is an error that names the path, and once it is there the next call works',
      async run() {
        const folder = join(root, newWorld())
        const store = sqliteStore({ path: join(folder, 'sessions.db') })
        await assert.rejects(store.read(newKey()), { code: 'ENOENT', message: new RegExp(folder) })
        await mkdir(folder)
        await callAll(store)
        await store.close()
      },
    },
  ]
}

const schemaOf = (database: SqliteDatabase) => database.prepare('SELECT sql AS text FROM sqlite_schema').all()

/** The first column of the first row. */
function firstValue(database: SqliteDatabase, sql: string, ...values: string[]): unknown {
  return Object.values(database.prepare(sql).get(...values) as object)[0]
}

/** Runs every statement of a store. */
async function callAll(store: ReturnType<typeof sqliteStore>): Promise<void> {
  const [key, record] = [newKey(), newRecord({ subject: newKey() })]
  assert.equal(await store.write(key, record, null), true)
  assert.equal(await store.write(key, { ...record, version: 'next' }, record.version), true)
  assert.equal(await store.touch(key, { seenAt: 2, expiresAt: record.expiresAt }, 'next'), true)
  assert.deepEqual(await store.read(key), { ...record, seenAt: 2, version: 'next' })
  assert.equal(await store.sweep(), 0)
  assert.equal(
    (
      await store
        .keys({ subject: record.subject as string })
        [Symbol.asyncIterator]()
        .next()
    ).value,
    key,
  )
  assert.equal((await store.keys()[Symbol.asyncIterator]().next()).value, key)
  assert.equal(await store.write(key, { ...record, expiresAt: 1 }, 'other'), false)
  assert.equal(await store.write(key, { ...record, expiresAt: 1 }, 'next'), true)
  await (store as Store).destroy(key)
}

/** Kills a process that counts in a session when it has acknowledged `last`. Resolves to the last number acknowledged. */
async function killedWriter(root: string, world: string, key: string, last: number): Promise<number> {
  const writer = fileURLToPath(new URL('./writer.js', import.meta.url))
  const child = spawn(process.execPath, [writer, root, world, key], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  let acknowledged = -1
  createInterface({ input: child.stdout }).on('line', line => {
    acknowledged = Number(line)
    if (acknowledged >= last) child.kill('SIGKILL')
  })
  assert.deepEqual(await closed, [null, 'SIGKILL'])
  return acknowledged
}
