import type { Context } from 'koa'
import { warnOnce } from './warn-once.js'

/** Headers in which proxies report that the client used HTTPS. */
const forwarding = [
  ...[
    'forwarded',
    'x-forwarded-proto',
    'x-forwarded-protocol',
    'x-forwarded-scheme',
    'x-forwarded-ssl',
    'x-url-scheme',
  ],
  ...['front-end-https', 'x-arr-ssl', 'cf-visitor', 'cloudfront-forwarded-proto'],
]

export interface SentCookie {
  /** Whether the request used HTTPS, as far as the app knows. */
  readonly secureRequest: boolean
  /** Whether the cookie goes out with `Secure`. */
  readonly secure: boolean
  readonly domain: string | undefined
}

/** Warn, once per process, about a session cookie that browsers will refuse, or that travels in clear in production. */
export function adviseOnCookie(ctx: Context, { secureRequest, secure, domain }: SentCookie): void {
  const { hostname } = ctx
  if (domain !== undefined && !isWithin(hostname, domain)) {
    warnOnce(
      'KOA_SESSION_COOKIE_DOMAIN',
      `cookie.domain ${domain} does not match the host of the request, so browsers refuse the cookie; leave cookie.domain out, or set it to the host or a parent domain of it`,
    )
  }
  if (secureRequest || isLoopback(hostname)) return
  if (secure) {
    if (isForwardedHttps(ctx)) return
    warnOnce(
      'KOA_SESSION_COOKIE_SECURE',
      `the session cookie has Secure, but the request came without TLS, so browsers drop the cookie unless a proxy terminates TLS; ${remedy(ctx)}`,
    )
  } else if (process.env.NODE_ENV === 'production') {
    warnOnce('KOA_SESSION_COOKIE_INSECURE', `the session cookie is sent without Secure in production; ${remedy(ctx)}`)
  }
}

/** Warn, once per process, if a proxy reports HTTPS and the app ignores its headers. */
export function adviseOnProxy(ctx: Context): void {
  if (ctx.req.headers['x-forwarded-proto'] === undefined || ctx.app.proxy || ctx.secure) return
  if (!isForwardedHttps(ctx)) return
  warnOnce(
    'KOA_SESSION_PROXY',
    'a request has X-Forwarded-Proto: https, but app.proxy is off, so the cookie is sent without Secure; set app.proxy = true',
  )
}

function isForwardedHttps({ req }: Context): boolean {
  return String(req.headers['x-forwarded-proto']).split(',', 1)[0]?.trim() === 'https'
}

/** The names of headers, never values: some hold addresses of clients. */
function remedy({ app, req }: Context): string {
  const seen = forwarding.filter(name => req.headers[name] !== undefined)
  const headers = seen.length > 0 ? `the request has ${seen.join(', ')}` : 'the request has no header of a proxy'
  const proxy = `app.proxy is ${app.proxy ? 'on' : 'off'}`
  return `behind a proxy that terminates TLS, set app.proxy = true and let the proxy send X-Forwarded-Proto: https (${proxy}; ${headers})`
}

/** RFC 6265, section 5.1.3, for a host name that is not an address. */
function isWithin(host: string, domain: string): boolean {
  const [one, other] = [host.toLowerCase(), domain.toLowerCase().replace(/^\./, '')]
  return one === other || one.endsWith(`.${other}`)
}

function isLoopback(host: string): boolean {
  return host === '' || /^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)$/i.test(host)
}
