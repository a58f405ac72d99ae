import { setTimeout as sleep } from 'node:timers/promises'

const calm = 200

/**
 * Waits until a server has done what the filling left to do, which is no cost of having many sessions: Redis rewrites its
 * log in a process of its own, and InnoDB writes changed pages and removes old versions of rows.
 */
export const settle = {
  async redis(url) {
    const { Redis } = await import('ioredis')
    const client = new Redis(url)
    const isBusy = async () =>
      /^(aof_rewrite|rdb_bgsave)_(in_progress|scheduled):1/m.test(await client.info('persistence'))
    while (await isBusy()) await sleep(calm)
    client.disconnect()
  },

  async postgres(url) {
    const { default: pg } = await import('pg')
    const client = new pg.Client(url)
    await client.connect()
    await client.query('VACUUM ANALYZE bench_sessions')
    await client.query('CHECKPOINT')
    await client.end()
  },

  async mysql(url) {
    const { createConnection } = await import('mysql2/promise')
    const connection = await createConnection(url)
    await connection.query('ANALYZE TABLE bench_sessions')
    const [[{ before }]] = await connection.query('SELECT @@GLOBAL.innodb_max_dirty_pages_pct AS `before`')
    await connection.query('SET GLOBAL innodb_max_dirty_pages_pct = 0')
    const left = async name => {
      const [[row]] = await connection.query('SHOW GLOBAL STATUS LIKE ?', [name])
      return Number(row?.Value ?? 0)
    }
    while ((await left('Innodb_buffer_pool_pages_dirty')) > 100 || (await left('Innodb_history_list_length')) > 100)
      await sleep(calm)
    await connection.query('SET GLOBAL innodb_max_dirty_pages_pct = ?', [before])
    await connection.end()
  },
}
