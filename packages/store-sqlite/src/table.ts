import type { OptionCheck } from 'koa-session-core/store'

const maxTableLength = 64

export function checkTable(check: OptionCheck, table: unknown): void {
  const isName = typeof table === 'string' && /^[^\0.\p{Surrogate}]+$/u.test(table) && !/^sqlite_/i.test(table)
  const rule = `must be a name of 1 to ${maxTableLength} characters without a dot or NUL, and not begin with sqlite_`
  check.that('table', isName && table.length <= maxTableLength, rule, table)
}

/** A quoted name, safe in SQL text. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
