export { mysqlStore } from './mysql-store.js'
export type { MysqlStoreOptions } from './options.js'
export type { MysqlCallbackPool, MysqlConnection, MysqlPool, MysqlPromisePool } from './pool.js'
export { type MysqlSchemaOptions, mysqlSchema } from './schema.js'
