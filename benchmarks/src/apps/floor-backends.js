import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { openSqlite } from './sqlite.js'

/**
 * The plain driver call of each backend: `read(key)` gives text or undefined, `write(key, text)`. Pools have the drivers'
 * default sizes, and statements are prepared.
 */
export const backends = {
  async memory() {
    const texts = new Map()
    return {
      async read(key) {
        return texts.get(key)
      },
      async write(key, text) {
        texts.set(key, text)
      },
    }
  },

  /** A crash leaves the old or the new text: a temporary file, fsync, rename, and `folderSyncs` times fsync of the folder. */
  async file({ folder, folderSyncs = 1 }) {
    const directory = join(folder, 'floor')
    await mkdir(directory, { recursive: true })
    return {
      async read(key) {
        try {
          return await readFile(join(directory, key), 'utf8')
        } catch (error) {
          if (error.code === 'ENOENT') return undefined
          throw error
        }
      },
      async write(key, text) {
        const path = join(directory, key)
        const temporary = `${path}.${randomBytes(6).toString('hex')}`
        const file = await open(temporary, 'wx', 0o600)
        await file.writeFile(text)
        await file.sync()
        await file.close()
        await rename(temporary, path)
        for (let sync = 0; sync < folderSyncs; sync++) {
          const parent = await open(directory)
          await parent.sync()
          await parent.close()
        }
      },
    }
  },

  /** One statement, and one fsync of the log for each write. */
  async sqlite({ folder }) {
    const database = openSqlite(join(folder, 'floor.db'))
    database.exec('CREATE TABLE IF NOT EXISTS bench_floor (key TEXT PRIMARY KEY, data TEXT NOT NULL)')
    const select = database.prepare('SELECT data FROM bench_floor WHERE key = ?')
    const upsert = database.prepare(
      'INSERT INTO bench_floor VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET data = excluded.data',
    )
    return {
      async read(key) {
        return select.get(key)?.data
      },
      async write(key, text) {
        upsert.run(key, text)
      },
    }
  },

  async redis({ url }) {
    const { Redis } = await import('ioredis')
    const client = new Redis(url)
    return {
      async read(key) {
        return (await client.get(`floor:${key}`)) ?? undefined
      },
      async write(key, text) {
        await client.set(`floor:${key}`, text, 'PX', 3_600_000)
      },
    }
  },

  async postgres({ url }) {
    const { default: pg } = await import('pg')
    const pool = new pg.Pool({ connectionString: url })
    await pool.query('CREATE TABLE IF NOT EXISTS bench_floor (key text PRIMARY KEY, data text NOT NULL)')
    const select = { name: 'floor-read', text: 'SELECT data FROM bench_floor WHERE key = $1' }
    const upsert = {
      name: 'floor-write',
      text: 'INSERT INTO bench_floor VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET data = excluded.data',
    }
    return {
      async read(key) {
        return (await pool.query({ ...select, values: [key] })).rows[0]?.data
      },
      async write(key, text) {
        await pool.query({ ...upsert, values: [key, text] })
      },
    }
  },

  async mysql({ url }) {
    const { createPool } = await import('mysql2/promise')
    const pool = createPool(url)
    await pool.query(
      `CREATE TABLE IF NOT EXISTS bench_floor (
        \`key\` char(64) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, data mediumtext NOT NULL)`,
    )
    return {
      async read(key) {
        const [rows] = await pool.execute('SELECT data FROM bench_floor WHERE `key` = ?', [key])
        return rows[0]?.data
      },
      async write(key, text) {
        await pool.execute('INSERT INTO bench_floor VALUES (?, ?) ON DUPLICATE KEY UPDATE data = VALUES(data)', [
          key,
          text,
        ])
      },
    }
  },

  async mongo({ url }) {
    const { MongoClient } = await import('mongodb')
    const client = await new MongoClient(url).connect()
    const collection = client.db().collection('bench_floor')
    return {
      async read(key) {
        return (await collection.findOne({ _id: key }))?.data
      },
      async write(key, text) {
        await collection.replaceOne({ _id: key }, { data: text }, { upsert: true })
      },
    }
  },
}
