import type { IncomingMessage } from 'node:http'
import type { IdTransport } from './cookie.js'
import { coded } from './errors.js'
import { isFirst } from './warn-once.js'

/**
 * Why a request must not give its client another session. `'outside'`: the client does not send the cookie to this path.
 * `'cross-site'`: the browser may have kept the cookie back, and a new one would replace the login of its visitor.
 */
export type Restriction = 'outside' | 'cross-site'

export function restrictionOf(
  { req, originalUrl }: { readonly req: IncomingMessage; readonly originalUrl: string },
  transport: IdTransport,
  hasId: boolean,
): Restriction | undefined {
  const { path, sameSite } = transport
  if (path !== '/' && !isWithin(pathOf(req, originalUrl), path)) return 'outside'
  return sameSite && !hasId && isKeptBack(req) ? 'cross-site' : undefined
}

/** The path that the client asked for; mounted apps see only the rest of it. */
function pathOf(req: IncomingMessage & { originalUrl?: string }, originalUrl: string): string {
  // Express, with a Koa app mounted in it, leaves the whole path here.
  const target = req.originalUrl ?? originalUrl
  const path = target.startsWith('/') ? target : target.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '')
  return /^[^?#]*/.exec(path)?.[0] || '/'
}

/** RFC 6265, section 5.1.4. */
function isWithin(path: string, cookiePath: string): boolean {
  if (!path.startsWith(cookiePath)) return false
  return path.length === cookiePath.length || cookiePath.endsWith('/') || path[cookiePath.length] === '/'
}

/** Destinations inside a page of another site. Navigations of frames are cross-site too. */
const embedded = new Set(['iframe', 'frame', 'embed', 'object', 'fencedframe'])

/** Whether `SameSite` keeps the cookie back: `lax` sends it only with a navigation of the whole page by GET or HEAD. */
function isKeptBack({ headers, method }: IncomingMessage): boolean {
  if (headers['sec-fetch-site'] !== 'cross-site') return false
  if (headers['sec-fetch-mode'] !== 'navigate' || (method !== 'GET' && method !== 'HEAD')) return true
  return embedded.has(headers['sec-fetch-dest'] as string)
}

const messages = {
  outside:
    'a request outside of cookie.path wrote to its session, and the change was dropped: the client does not send the cookie there; ' +
    'use ctx.session below cookie.path only, or widen cookie.path (to / if a proxy removes a prefix of the path)',
  'cross-site':
    'a cross-site request without a session cookie wrote to its session, and the change was dropped: SameSite may have kept the cookie back, ' +
    "and a new session would replace the visitor's own; redirect to a GET and write there, or sign somebody in",
}
const codes = { outside: 'KOA_SESSION_OUTSIDE_PATH', 'cross-site': 'KOA_SESSION_CROSS_SITE' }

/** An error that says how to repair the app. The first time only. */
export function adviceOn(restriction: Restriction): Error | undefined {
  const code = codes[restriction]
  return isFirst(code) ? coded(new Error(messages[restriction]), code) : undefined
}
