import type { OptionCheck } from 'koa-session-core/store'

/** Longest name of a table: 63 bytes, to which PostgreSQL silently truncates, less the longest suffix of an index. */
const maxTableBytes = 63 - '_sweep_hour_idx'.length
const maxSchemaBytes = 63

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

export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
