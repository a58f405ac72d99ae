import type { ServerResponse } from 'node:http'

type Pairs = readonly (readonly [string, string | readonly string[]])[]
type Given = Pairs | readonly string[] | Readonly<Record<string, string | string[]>>

type WriteHead = (status: number, reason?: unknown, headers?: unknown) => ServerResponse

/** Has the last word on the headers of a response. */
export interface HeadersListener {
  beforeHeaders(): void
}

const wrapped: unique symbol = Symbol('koa-session-core.writeHead')

interface Wrapped {
  [wrapped]?: { readonly writeHead: WriteHead; readonly listeners: HeadersListener[] }
}

/**
 * Call `listener` whenever the headers of this response are about to be written, by any method; it then sees all of them. All
 * methods call `writeHead`, in HTTP/1 and in Node's HTTP/2 compatibility layer. The listener is called again after a failed
 * attempt, for example because another header is invalid.
 */
export function onHeaders(res: ServerResponse & Wrapped, listener: HeadersListener): void {
  const before = res[wrapped]
  if (before) {
    before.listeners.push(listener)
    return
  }
  res[wrapped] = { writeHead: res.writeHead as WriteHead, listeners: [listener] }
  // One function for all responses: a closure for each gives each its own hidden class in V8, at five times the cost of a response.
  res.writeHead = tellingWriteHead
}

function tellingWriteHead(
  this: ServerResponse & Wrapped,
  status: number,
  reason?: unknown,
  headers?: unknown,
): ServerResponse {
  const { writeHead, listeners } = this[wrapped] as NonNullable<Wrapped[typeof wrapped]>
  const given = (headers ?? (typeof reason === 'string' ? undefined : reason)) as Given | undefined
  // Node has an error for each.
  if (this.headersSent || isMalformed(given)) return writeHead.call(this, status, reason, headers)
  if (given) setAll(this, given)
  for (const listener of listeners) listener.beforeHeaders()
  return typeof reason === 'string' ? writeHead.call(this, status, reason) : writeHead.call(this, status)
}

const isMalformed = (given: Given | undefined): boolean =>
  Array.isArray(given) && !Array.isArray(given[0]) && given.length % 2 !== 0

/**
 * Set headers in any form that `writeHead` takes. Node 20 drops the repeated lines of an array when others are set already,
 * which would lose cookies of a proxied response.
 */
function setAll(res: ServerResponse, given: Given): void {
  if (!Array.isArray(given)) {
    for (const [name, value] of Object.entries(given as object)) if (name) res.setHeader(name, value)
    return
  }
  const pairs = (Array.isArray(given[0]) ? given : paired(given)) as Pairs
  for (const [name] of pairs) if (name && res.hasHeader(name)) res.removeHeader(name)
  for (const [name, value] of pairs) if (name) res.appendHeader(name, value)
}

const paired = (flat: readonly string[]): unknown =>
  flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1]]] : []))
