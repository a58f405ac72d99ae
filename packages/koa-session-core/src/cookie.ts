import type { IncomingMessage } from 'node:http'
import type { Context } from 'koa'
import { OptionCheck } from './check.js'
import { adviseOnCookie } from './cookie-advice.js'
import { idLength, isId, keyMaker } from './id.js'
import { cookieHints } from './other-libraries.js'
import type { MaxAge } from './record.js'

/** How a session id travels between client and server. */
export interface Transport {
  /** Returns the id in the request, in any form, or `undefined`. `secure` is unknown outside of a Koa request. */
  read(req: IncomingMessage, how?: { readonly secure?: boolean | undefined }): string | undefined
  /** Put an id on the response. `null` makes the client forget its id. */
  write(ctx: Context, id: string | null, how: { readonly maxAge: MaxAge; readonly secure: boolean }): void
  /** The request header that `read` reads, for `Vary`. */
  readonly vary?: string
}

/** The attributes of RFC 6265bis, each changing exactly its own. */
export interface CookieOptions {
  /**
   * One name for every request. A name with a prefix needs the attributes that the prefix promises.
   * @default '__Host-sid' on a secure request ('__Secure-sid' with path or domain), 'sid' on a plain one
   */
  readonly name?: string
  /**
   * Outside of this path no session is created and no cookie is sent.
   * @default '/'
   */
  readonly path?: string
  /** @default none: the host alone */
  readonly domain?: string
  /** @default true */
  readonly httpOnly?: boolean
  /**
   * `'auto'` follows `ctx.secure` as it was when the request began.
   * @default 'auto'
   */
  readonly secure?: boolean | 'auto'
  /**
   * `'none'` needs `secure: true`.
   * @default 'lax'
   */
  readonly sameSite?: 'strict' | 'lax' | 'none'
  /**
   * Sent beside `Secure` only.
   * @default false
   */
  readonly partitioned?: boolean
  /** @default none */
  readonly priority?: 'low' | 'medium' | 'high'
}

/** A value that a request presents as the id of its session. */
export interface Presented {
  /** `undefined`: it is no id. */
  readonly id: string | undefined
  /** Whether the answer is the one of a secure request. A plain request may bring the cookie of a secure one. */
  readonly secure: boolean
  /** The name and the position at which the search for the next value continues. */
  readonly name: number
  readonly end: number
}

/** A transport as the core uses it: the cookie, or the app's own. */
export interface IdTransport extends Pick<Transport, 'write' | 'vary'> {
  /** Every cookie name that the id may be read under. */
  readonly names: readonly string[]
  /** The key of the session with that id. */
  readonly keyOf: (id: string) => string
  /** The path in which a client sends the id back. */
  readonly path: string
  /** Whether a browser may keep the id back from a cross-site request. */
  readonly sameSite: boolean
  /** The first id in the request, or the one `after` another. `secure` is `undefined` outside of a Koa request. */
  present(req: IncomingMessage, secure: boolean | undefined, after?: Presented): Presented | undefined
}

const optionNames = {
  known: ['name', 'path', 'domain', 'httpOnly', 'secure', 'sameSite', 'partitioned', 'priority'],
  hints: cookieHints,
}
/** A token of RFC 9110, section 5.6.2. */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** `checked` collects the faults of `options`. */
export function cookieTransport(options: CookieOptions = {}, checked = new OptionCheck('session()')): IdTransport {
  checked.names(options, optionNames, 'cookie')
  const { name, path = '/', domain, httpOnly = true, secure = 'auto', sameSite = 'lax', partitioned = false } = options
  const { priority } = options
  const check = (option: string, rule: string, value: unknown, good: boolean) =>
    checked.that(`cookie.${option}`, good, rule, value)
  const isText = (value: unknown, pattern: RegExp) => typeof value === 'string' && pattern.test(value)
  check(
    'name',
    "must be a token of letters, digits and !#$%&'*+.^_`|~-",
    name,
    name === undefined || isText(name, token),
  )
  check('path', 'must begin with / and hold no control characters and no ;', path, isText(path, /^\/[ -:<-~]*$/))
  check('domain', 'must be a host name', domain, domain === undefined || isText(domain, /^\.?[\w-]+(\.[\w-]+)*$/))
  check('httpOnly', 'must be true or false', httpOnly, typeof httpOnly === 'boolean')
  check('secure', "must be true, false or 'auto'", secure, typeof secure === 'boolean' || secure === 'auto')
  check('sameSite', "must be 'strict', 'lax' or 'none'", sameSite, ['strict', 'lax', 'none'].includes(sameSite))
  check('partitioned', 'must be true or false', partitioned, typeof partitioned === 'boolean')
  check(
    'priority',
    "must be 'low', 'medium' or 'high'",
    priority,
    [undefined, 'low', 'medium', 'high'].includes(priority),
  )
  check('secure', "must be true with cookie.sameSite 'none'", secure, sameSite !== 'none' || secure === true)
  check('secure', 'must not be false with cookie.partitioned', secure, !partitioned || secure !== false)
  const [, match] = (typeof name === 'string' && /^__(host|secure)-/i.exec(name)) || []
  const prefix = match?.toLowerCase()
  const rest = prefix === undefined ? '' : ` with the name ${String(name)}`
  check('secure', `must be true${rest}`, secure, prefix === undefined || secure === true)
  check('path', `must be /${rest}`, path, prefix !== 'host' || path === '/')
  check('domain', `must be absent${rest}`, domain, prefix !== 'host' || domain === undefined)

  const isHostOnly = path === '/' && domain === undefined
  const prefixed = isHostOnly ? '__Host-sid' : '__Secure-sid'
  const secureName = name ?? (secure === false ? 'sid' : prefixed)
  const plainName = name ?? (secure === true ? secureName : 'sid')
  // No browser sends a prefixed cookie in clear: a proxy, or a server's own request, passed it on.
  const names = secureName === plainName ? [plainName] : [secureName, plainName]
  const secureOnly = [secureName]

  return {
    names,
    keyOf: keyMaker(typeof name === 'string' ? `${name}=` : ''),
    path,
    sameSite: sameSite !== 'none',
    vary: 'Cookie',
    present(req, secure, after) {
      const header = req.headers.cookie
      if (header === undefined) return undefined
      const isSecure = secure ?? isEncrypted(req)
      const readable = isSecure ? secureOnly : names
      let at = after?.end ?? 0
      let malformed = false
      for (let name = after?.name ?? 0; name < readable.length; name++) {
        const wanted = readable[name] as string
        for (at = nextValue(header, wanted, at); at >= 0; at = nextValue(header, wanted, at)) {
          const id = idAt(header, at)
          if (id !== undefined) {
            return { id, secure: isSecure || wanted !== plainName, name, end: at + idLength }
          }
          malformed = true
        }
        at = 0
      }
      return malformed && !after ? { id: undefined, secure: isSecure, name: 0, end: 0 } : undefined
    },
    write(ctx, id, how) {
      const { res } = ctx
      const isSecure = secure === 'auto' ? how.secure : secure
      if (id !== null) adviseOnCookie(ctx, { secureRequest: how.secure, secure: isSecure, domain })
      const setName = how.secure ? secureName : plainName
      const cookie = `${setName}=${id ?? ''}`
      const attributes = [`Path=${path}`]
      if (id === null) attributes.push('Max-Age=0', `Expires=${new Date(0).toUTCString()}`)
      else if (how.maxAge !== 'session') {
        const expires = new Date(Date.now() + how.maxAge).toUTCString()
        attributes.push(`Max-Age=${Math.ceil(how.maxAge / 1000)}`, `Expires=${expires}`)
      }
      if (domain !== undefined) attributes.push(`Domain=${domain}`)
      if (httpOnly) attributes.push('HttpOnly')
      if (isSecure) attributes.push('Secure')
      attributes.push(`SameSite=${capitalized(sameSite)}`)
      if (partitioned && isSecure) attributes.push('Partitioned')
      if (priority !== undefined) attributes.push(`Priority=${capitalized(priority)}`)
      const others = [res.getHeader('Set-Cookie') ?? []].flat().map(String)
      const kept = others.filter(other => !other.startsWith(`${setName}=`))
      res.setHeader('Set-Cookie', [...kept, [cookie, ...attributes].join('; ')])
    },
  }
}

const capitalized = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)

const isEncrypted = (req: IncomingMessage): boolean =>
  (req.socket as { encrypted?: boolean } | undefined)?.encrypted === true

/**
 * The index of the next value of a cookie of that name, or -1. Skips only spaces and tabs before a name: with Unicode's other
 * spaces, a cookie that any subdomain may set could pass for one with a `__Host-` prefix.
 */
function nextValue(header: string, name: string, from: number): number {
  for (let at = header.indexOf(name, from); at >= 0; at = header.indexOf(name, at + 1)) {
    const start = at + name.length
    if (header[start] !== '=') continue
    let before = at - 1
    while (header[before] === ' ' || header[before] === '\t') before--
    if (before < 0 || header[before] === ';') return start + 1
  }
  return -1
}

/** The value at that index, unchanged, if it looks like an id. */
function idAt(header: string, start: number): string | undefined {
  const end = start + idLength
  if (end < header.length && header[end] !== ';') return undefined
  const value = header.slice(start, end)
  return isId(value) ? value : undefined
}

/** The property of a transport whose text is hashed with every id. A second installed copy of this package reads it too. */
const scope: unique symbol = Symbol.for('koa-session-core.scope')

interface Scoped {
  readonly [scope]: string
}

/** The option `transport` as the core uses it. */
export function idTransport(transport: Transport): IdTransport {
  return {
    names: [],
    keyOf: keyMaker((transport as Partial<Scoped>)[scope] ?? ''),
    path: '/',
    sameSite: false,
    ...(transport.vary !== undefined && { vary: transport.vary }),
    present(req, secure, after) {
      if (after) return undefined
      const value: unknown = secure === undefined ? transport.read(req) : transport.read(req, { secure })
      return value === undefined
        ? undefined
        : { id: isId(value) ? value : undefined, secure: secure === true, name: 0, end: 0 }
    },
    write: (ctx, id, how) => transport.write(ctx, id, how),
  }
}

/**
 * Carries the id in a header, for clients without cookies: the response sets it, and the client sends it back. An empty header
 * tells the client to forget the id.
 */
export function headerTransport(options: { readonly name: string }): Transport {
  const check = new OptionCheck('headerTransport()')
  check.names(options, { known: ['name'] })
  const { name } = options
  check.that('name', typeof name === 'string' && token.test(name), 'must be a header name', name)
  check.end()
  const field = name.toLowerCase()
  const transport: Transport & Scoped = {
    [scope]: `${field}:`,
    vary: name,
    read(req) {
      const value = req.headers[field]
      return typeof value === 'string' && value !== '' ? value : undefined
    },
    write(ctx, id) {
      ctx.set(name, id ?? '')
    },
  }
  return transport
}
