import { hash, randomBytes } from 'node:crypto'

/**
 * The least a session middleware can do by hand: find the one cookie, SHA-256, a plain read, JSON.parse, the handler,
 * JSON.stringify to see a change, a plain write. It promises nothing: no expiry, and the last of parallel writers wins.
 *
 * `backend` has `read(key)`, which gives text or undefined, and `write(key, text)`.
 */
export function floor(backend) {
  return async (ctx, next) => {
    const id = idIn(ctx.req.headers.cookie)
    const before = id === undefined ? undefined : await backend.read(hash('sha256', id))
    ctx.session = before === undefined ? {} : JSON.parse(before)
    await next()
    const after = JSON.stringify(ctx.session)
    if (after === (before ?? '{}')) return
    if (before !== undefined) {
      await backend.write(hash('sha256', id), after)
      return
    }
    const newId = randomBytes(32).toString('base64url')
    await backend.write(hash('sha256', newId), after)
    ctx.set('Set-Cookie', `sid=${newId}; path=/; samesite=lax; httponly`)
  }
}

function idIn(cookie) {
  if (cookie === undefined) return undefined
  const start = cookie.indexOf('sid=')
  return start < 0 ? undefined : cookie.slice(start + 4, start + 47)
}
