export type { PostgresStoreOptions } from './options.js'
export type { PostgresClient, PostgresPool, QueryResult } from './pool.js'
export { postgresStore } from './postgres-store.js'
export { type PostgresSchemaOptions, postgresSchema } from './schema.js'
