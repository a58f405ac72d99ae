import { randomUUID } from 'node:crypto'
import type { Context, Next } from 'koa'

/** The most sessions to keep. Beyond it the oldest is dropped. */
const capacity = 1_000

/**
 * A session as most libraries have it, written for this demo: load all data when the request begins, let the handler change this
 * copy, store all of it when the request ends.
 */
export function ordinarySession(): (ctx: Context, next: Next) => Promise<void> {
  const records = new Map<string, string>()
  return async (ctx, next) => {
    const named = ctx.cookies.get('ordinary')
    const before = named === undefined ? undefined : records.get(named)
    ctx.state.session = before === undefined ? {} : JSON.parse(before)
    await next()
    if (ctx.state.session === null) {
      records.delete(named ?? '')
      ctx.cookies.set('ordinary', null)
      return
    }
    const after = JSON.stringify(ctx.state.session)
    if (after === (before ?? '{}')) return
    const id = named ?? randomUUID()
    records.set(id, after)
    for (const oldest of records.keys()) if (records.size > capacity) records.delete(oldest)
    ctx.cookies.set('ordinary', id, { sameSite: 'lax' })
  }
}
