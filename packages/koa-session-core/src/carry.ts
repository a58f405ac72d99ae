import type { Context } from 'koa'

type Headers = Record<string, string | string[]>

/** Errors that carry some request's headers until that response is out. */
const carrying = new WeakSet<object>()

/**
 * Put headers on an error, for Koa's error handler, which removes all others. The error itself goes on, so that the app
 * sees what was thrown. An app may throw one error object for many requests: the headers come off again when the response
 * has closed, and while they are on, another request gets an object of its own that inherits from the error.
 */
export function carry(error: unknown, headers: Headers | undefined, ctx: Context): unknown {
  if (typeof error !== 'object' || error === null || !headers) return error
  const before = (error as { headers?: Headers }).headers
  if (carrying.has(error) || !Object.isExtensible(error)) {
    return Object.create(error, { headers: { value: headers, enumerable: true, configurable: true, writable: true } })
  }
  const own = Object.getOwnPropertyDescriptor(error, 'headers')
  Object.defineProperty(error, 'headers', {
    value: merged(before, headers),
    enumerable: true,
    configurable: true,
    writable: true,
  })
  carrying.add(error)
  ctx.res.once('close', () => {
    carrying.delete(error)
    if (own) Object.defineProperty(error, 'headers', own)
    else delete (error as { headers?: Headers }).headers
  })
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
