import { OptionCheck } from 'koa-session-core/store'
import { checkTable, quoted } from './table.js'

export interface SqliteSchemaOptions {
  /**
   * Name of the table, at most 64 characters.
   * @default 'sessions'
   */
  readonly table?: string
}

/** The SQL statements that create the table, separated by semicolons. They change nothing if it exists. */
export function sqliteSchema(options: SqliteSchemaOptions = {}): string {
  const check = new OptionCheck('sqliteSchema()')
  check.names(options, { known: ['table'], hints: { tablename: 'table' } })
  const { table = 'sessions' } = options
  checkTable(check, table)
  check.end()
  const name = quoted(table)
  const index = (suffix: string) => quoted(`${table}_${suffix}_idx`)
  // The hour seldom changes, so that a touch changes no index.
  return `CREATE TABLE IF NOT EXISTS ${name} (
  key TEXT NOT NULL PRIMARY KEY,
  data TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  version TEXT NOT NULL,
  subject TEXT,
  sweep_hour INTEGER GENERATED ALWAYS AS (expires_at / 3600000) VIRTUAL
) STRICT;
CREATE INDEX IF NOT EXISTS ${index('sweep_hour')} ON ${name} (sweep_hour);
CREATE INDEX IF NOT EXISTS ${index('subject')} ON ${name} (subject, key) WHERE subject IS NOT NULL;
`
}
