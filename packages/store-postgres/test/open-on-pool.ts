import { postgresStore } from 'koa-session-store-postgres'
import pg from 'pg'

let pool: pg.Pool | undefined
let opened = 0

/** Many worlds on few connections: all stores of this process are on one pool, which ends with the last of them. */
export function open(url: string, world: string) {
  pool ??= new pg.Pool({ connectionString: url, max: 20 })
  opened++
  const store = postgresStore({ pool, table: world })
  return {
    ...store,
    async close() {
      await store.close()
      if (--opened === 0) await pool?.end()
    },
  }
}
