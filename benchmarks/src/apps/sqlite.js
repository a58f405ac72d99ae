import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** By libsql, which every Node.js can load; `sqliteStore({ path })` sets the same. Loaded only where it is measured. */
export function openSqlite(path) {
  const Database = require('libsql')
  const database = new Database(path, { timeout: 10 })
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  return database
}
