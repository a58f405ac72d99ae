import { OptionCheck } from 'koa-session-core/store'

export interface PostgresSchemaOptions {
  /**
   * Of at most 48 bytes, so that the names of the indexes fit.
   * @default 'sessions'
   */
  readonly table?: string
  /**
   * The schema the table is in; it has to be there.
   * @default the first of the connection's `search_path`
   */
  readonly schema?: string
}

/** Longest name of a table: 63 bytes, which PostgreSQL would silently cut to, less the longest suffix of an index. */
const maxTableBytes = 63 - '_expires_at_idx'.length
const maxSchemaBytes = 63

/** The statements that make the table, separated by semicolons; they change nothing where it is there. */
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

export function checkNames(check: OptionCheck, table: unknown, schema: unknown): void {
  checkName(check, 'table', table, maxTableBytes)
  if (schema !== undefined) checkName(check, 'schema', schema, maxSchemaBytes)
}

function checkName(check: OptionCheck, option: string, name: unknown, maxBytes: number): void {
  const isName = typeof name === 'string' && name !== '' && !/[\0.\p{Surrogate}]/u.test(name)
  const isShort = isName && Buffer.byteLength(name) <= maxBytes
  check.that(option, isShort, `must be a name of 1 to ${maxBytes} bytes without a dot or NUL`, name)
}

/** The quoted name of the table, safe in SQL text. */
export const qualifiedName = (table: string, schema: string | undefined): string =>
  schema === undefined ? quoted(table) : `${quoted(schema)}.${quoted(table)}`

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
