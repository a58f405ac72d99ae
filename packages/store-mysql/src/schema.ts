import { OptionCheck } from 'koa-session-core/store'

export interface MysqlSchemaOptions {
  /**
   * Of at most 64 characters.
   * @default 'sessions'
   */
  readonly table?: string
}

const maxTableLength = 64

/** The statement that makes the table; it changes nothing where it is there. */
export function mysqlSchema(options: MysqlSchemaOptions = {}): string {
  const check = new OptionCheck('mysqlSchema()')
  check.names(options, { known: ['table'], hints: { tablename: 'table' } })
  const { table = 'sessions' } = options
  checkTable(check, table)
  check.end()
  return `CREATE TABLE IF NOT EXISTS ${quotedName(table)} (
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

export function checkTable(check: OptionCheck, table: unknown): void {
  // The server knows no names with characters beyond the basic plane.
  const isName = typeof table === 'string' && /^[^\0.\p{Surrogate}\u{10000}-\u{10ffff}]+$/u.test(table)
  const rule = `must be a name of 1 to ${maxTableLength} characters without a dot, NUL, emoji or a space at its end`
  check.that('table', isName && table.length <= maxTableLength && !table.endsWith(' '), rule, table)
}

/** The quoted name of the table, safe in SQL text. */
export const quotedName = (table: string): string => `\`${table.replaceAll('`', '``')}\``
