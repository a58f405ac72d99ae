import { mysqlStore } from 'koa-session-store-mysql'
import { createPool, type Pool } from 'mysql2'

let pool: Pool | undefined
let opened = 0

/** Many worlds on few connections: all stores of this process are on one pool, which ends with the last of them. */
export function open(url: string, world: string) {
  pool ??= createPool({ uri: url, connectionLimit: 20 })
  opened++
  const store = mysqlStore({ pool, table: world })
  return {
    ...store,
    async close() {
      await store.close()
      if (--opened === 0) await pool?.promise().end()
    },
  }
}
