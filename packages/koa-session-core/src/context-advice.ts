import { contextHints } from './other-libraries.js'
import { warnOnce } from './warn-once.js'

/**
 * Define members of other session libraries on the contexts of an app: reading one returns `undefined`, as before, and warns
 * the first time. An app may set each to a value of its own.
 */
export function adviseOnMembers(context: object): void {
  for (const [name, hint] of Object.entries(contextHints)) {
    if (name in context) continue
    Object.defineProperty(context, name, {
      get() {
        const message = `ctx.${name} is a member of another session library and undefined here: ${hint}`
        warnOnce('KOA_SESSION_MEMBER', message, name)
        return undefined
      },
      set(value: unknown) {
        Object.defineProperty(this, name, { value, writable: true, configurable: true, enumerable: true })
      },
      configurable: true,
      enumerable: false,
    })
  }
}

/** A handler that deletes `ctx.session` means to destroy the session. Throws a `TypeError` that says how. */
export function assertNotDeleted(ctx: object): void {
  if (Object.hasOwn(ctx, 'session')) return
  throw new TypeError(
    'delete ctx.session does not end the session: set ctx.session = null, or await ctx.session.destroy()',
  )
}
