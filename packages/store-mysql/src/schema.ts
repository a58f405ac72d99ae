import { OptionCheck } from 'koa-session-core/store'
import { checkTable, quotedName } from './table.js'

export interface MysqlSchemaOptions {
  /**
   * Name of the table, at most 64 characters.
   * @default 'sessions'
   */
  readonly table?: string
}

/** The SQL statement that creates the table. It changes nothing if the table exists. */
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
