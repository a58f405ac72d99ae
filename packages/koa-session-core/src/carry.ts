import type { Context } from 'koa'

type Headers = Record<string, string | string[]>

/** Errors that carry some request's headers until that response is out, and the headers they had before. */
const carrying = new WeakMap<object, Headers | undefined>()

/**
 * Put headers on an error, for Koa's error handler, which removes all others. The error itself goes on, so that the app
 * sees what was thrown. An app may throw one error object for many requests: the headers come off again when the response
 * is out, and while they are on, another request gets an object of its own that inherits from the error.
 */
export function carry(error: unknown, headers: Headers | undefined, ctx: Context): unknown {
  if (typeof error !== 'object' || error === null) return error
  const isCarrying = carrying.has(error)
  if (!headers && !isCarrying) return error
  const before = isCarrying ? carrying.get(error) : (error as { headers?: Headers }).headers
  const value = headers ? merged(before, headers) : before
  const own = Object.getOwnPropertyDescriptor(error, 'headers')
  const carried: PropertyDescriptor = { value, enumerable: true, configurable: true, writable: true }
  if (isCarrying || !Object.isExtensible(error) || own?.configurable === false) {
    return Object.create(error, { headers: carried })
  }
  Object.defineProperty(error, 'headers', carried)
  carrying.set(error, before)
  const restore = () => {
    if (!carrying.delete(error)) return
    if (own) Object.defineProperty(error, 'headers', own)
    else delete (error as { headers?: Headers }).headers
  }
  ctx.res.once('finish', restore).once('close', restore)
  return error
}

/** Both, by names without case; cookies add up, of all others the error's own stand. */
function merged(own: Headers | undefined, ours: Headers): Headers {
  const all: Headers = { ...ours }
  for (const [name, value] of Object.entries(own ?? {})) {
    const twin = Object.keys(all).find(other => other.toLowerCase() === name.toLowerCase())
    const cookies = twin !== undefined && name.toLowerCase() === 'set-cookie' ? all[twin] : undefined
    if (twin !== undefined) delete all[twin]
    all[name] = cookies === undefined ? value : [value, cookies].flat()
  }
  return all
}
