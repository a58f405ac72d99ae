export { type MysqlStoreOptions, mysqlStore } from './mysql-store.js'
export type { MysqlCallbackPool, MysqlConnection, MysqlPool, MysqlPromisePool } from './pool.js'
export { type MysqlSchemaOptions, mysqlSchema } from './schema.js'
