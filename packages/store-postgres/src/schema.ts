import { inspect } from 'node:util'

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
export function postgresSchema({ table = 'sessions', schema }: PostgresSchemaOptions = {}): string {
  const name = qualifiedName('postgresSchema', table, schema)
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

/** The quoted name of the table, safe in SQL text. A TypeError that begins with `caller` if there can be none. */
export function qualifiedName(caller: string, table: string, schema: string | undefined): string {
  checkName(caller, 'table', table, maxTableBytes)
  if (schema === undefined) return quoted(table)
  checkName(caller, 'schema', schema, maxSchemaBytes)
  return `${quoted(schema)}.${quoted(table)}`
}

function checkName(caller: string, option: string, name: string, maxBytes: number): void {
  const isName = typeof name === 'string' && name !== '' && !/[\0.\p{Surrogate}]/u.test(name)
  if (isName && Buffer.byteLength(name) <= maxBytes) return
  throw new TypeError(
    `${caller}: ${option} must be a name of 1 to ${maxBytes} bytes without a dot or NUL, got ${inspect(name)}`,
  )
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
