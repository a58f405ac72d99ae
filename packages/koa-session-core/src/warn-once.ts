const registry: unique symbol = Symbol.for('koa-session-core.warned')

/**
 * Whether `code` is used for the first time, alone or with the same subject. The registry is global, so that two installed
 * copies of this package do not repeat each other.
 */
export function isFirst(code: string, about = ''): boolean {
  const shared = globalThis as { [registry]?: Set<string> }
  const known = (shared[registry] ??= new Set())
  if (known.has(code + about)) return false
  known.add(code + about)
  return true
}

/** Emit a process warning the first time. */
export function warnOnce(code: string, message: string, about = ''): void {
  if (isFirst(code, about)) process.emitWarning(message, { code })
}
