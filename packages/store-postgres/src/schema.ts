import { OptionCheck } from 'koa-session-core/store'
import { checkNames, qualifiedName, quoted } from './table.js'

export interface PostgresSchemaOptions {
  /**
   * Name of the table, at most 48 bytes, so that the names of the indexes fit.
   * @default 'sessions'
   */
  readonly table?: string
  /**
   * Schema of the table. It must exist.
   * @default the first of the connection's `search_path`
   */
  readonly schema?: string
}

/** The SQL statements that create the table, separated by semicolons. They change nothing if it exists. */
export function postgresSchema(options: PostgresSchemaOptions = {}): string {
  const check = new OptionCheck('postgresSchema()')
  check.names(options, { known: ['table', 'schema'], hints: { schemaname: 'schema', tablename: 'table' } })
  const { table = 'sessions', schema } = options
  checkNames(check, table, schema)
  check.end()
  const name = qualifiedName(table, schema)
  return `CREATE TABLE IF NOT EXISTS ${name} (
  key text COLLATE "C" PRIMARY KEY,
  data text NOT NULL,
  expires_at bigint NOT NULL,
  seen_at bigint NOT NULL,
  version text NOT NULL,
  subject text COLLATE "C"
);
CREATE INDEX IF NOT EXISTS ${quoted(`${table}_expires_at_idx`)} ON ${name} (expires_at);
CREATE INDEX IF NOT EXISTS ${quoted(`${table}_subject_idx`)} ON ${name} (subject, key) WHERE subject IS NOT NULL;
`
}
