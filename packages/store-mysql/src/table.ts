import type { OptionCheck } from 'koa-session-core/store'

const maxTableLength = 64

export function checkTable(check: OptionCheck, table: unknown): void {
  // The server allows no characters beyond the basic plane in names.
  const isName = typeof table === 'string' && /^[^\0.\p{Surrogate}\u{10000}-\u{10ffff}]+$/u.test(table)
  const rule = `must be a name of 1 to ${maxTableLength} characters without a dot, NUL, emoji or a space at its end`
  check.that('table', isName && table.length <= maxTableLength && !table.endsWith(' '), rule, table)
}

/** The quoted name of the table, safe in SQL text. */
export const quotedName = (table: string): string => `\`${table.replaceAll('`', '``')}\``
