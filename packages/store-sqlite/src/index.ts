export type { SqliteDatabase, SqliteStatement, SqliteValue } from './database.js'
export type { SqliteStoreOptions } from './options.js'
export { type SqliteSchemaOptions, sqliteSchema } from './schema.js'
export { sqliteStore } from './sqlite-store.js'
