const registry: unique symbol = Symbol.for('koa-session-core.warned')

/**
 * Emit a process warning the first time `code` comes up, or comes up about the same thing. The registry is global, so that two installed copies of this
 * package do not repeat each other.
 */
export function warnOnce(code: string, message: string, about = ''): void {
  const shared = globalThis as { [registry]?: Set<string> }
  const warned = (shared[registry] ??= new Set())
  if (warned.has(code + about)) return
  warned.add(code + about)
  process.emitWarning(message, { code })
}
