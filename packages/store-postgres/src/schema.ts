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

/**
 * The SQL statements that create the table, separated by semicolons. They bring a table of an earlier version up to date, and
 * change nothing otherwise.
 */
export function postgresSchema(options: PostgresSchemaOptions = {}): string {
  const check = new OptionCheck('postgresSchema()')
  check.names(options, { known: ['table', 'schema'], hints: { schemaname: 'schema', tablename: 'table' } })
  const { table = 'sessions', schema } = options
  checkNames(check, table, schema)
  check.end()
  const name = qualifiedName(table, schema)
  const index = (suffix: string) => quoted(`${table}_${suffix}_idx`)
  const oldIndex = qualifiedName(`${table}_expires_at_idx`, schema)
  return `CREATE TABLE IF NOT EXISTS ${name} (
  key text COLLATE "C" PRIMARY KEY,
  data text NOT NULL,
  expires_at bigint NOT NULL,
  seen_at bigint NOT NULL,
  version text NOT NULL,
  subject text COLLATE "C",
  ${sweepHour}
) WITH (fillfactor = 80);
ALTER TABLE ${name} ADD COLUMN IF NOT EXISTS ${sweepHour};
CREATE INDEX IF NOT EXISTS ${index('sweep_hour')} ON ${name} (sweep_hour);
CREATE INDEX IF NOT EXISTS ${index('subject')} ON ${name} (subject, key) WHERE subject IS NOT NULL;
DROP INDEX IF EXISTS ${oldIndex};
`
}

/** An update that changes nothing that is indexed is cheap (HOT), and every touch changes `expires_at`. */
const sweepHour = 'sweep_hour bigint GENERATED ALWAYS AS (expires_at / 3600000) STORED'
