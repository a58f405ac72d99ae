import { inspect } from 'node:util'

export interface MysqlSchemaOptions {
  /**
   * Of at most 64 characters.
   * @default 'sessions'
   */
  readonly table?: string
}

const maxTableLength = 64

/** The statement that makes the table; it changes nothing where it is there. */
export function mysqlSchema({ table = 'sessions' }: MysqlSchemaOptions = {}): string {
  return `CREATE TABLE IF NOT EXISTS ${quotedName('mysqlSchema', table)} (
  \`key\` char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  data mediumblob NOT NULL,
  expires_at bigint NOT NULL,
  seen_at bigint NOT NULL,
  version varchar(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  subject char(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  PRIMARY KEY (\`key\`),
  KEY expires_at (expires_at),
  KEY subject (subject)
) ENGINE=InnoDB
`
}

/** The quoted name of the table, safe in SQL text. A TypeError that begins with `caller` if there can be none. */
export function quotedName(caller: string, table: string): string {
  // The server knows no names with characters beyond the basic plane.
  const isName = typeof table === 'string' && /^[^\0.\p{Surrogate}\u{10000}-\u{10ffff}]+$/u.test(table)
  if (isName && table.length <= maxTableLength && !table.endsWith(' ')) return `\`${table.replaceAll('`', '``')}\``
  throw new TypeError(
    `${caller}: table must be a name of 1 to ${maxTableLength} characters without a dot, NUL, emoji or a space at its ` +
      `end, got ${inspect(table)}`,
  )
}
