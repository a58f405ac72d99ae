import type { IncomingMessage } from 'node:http'
import type { Context } from 'koa'
import { OptionCheck } from './check.js'
import { adviseOnCookie } from './cookie-advice.js'
import { cookieHints } from './other-libraries.js'
import type { MaxAge } from './record.js'

/** How a session id travels between client and server. */
export interface Transport {
  /** The id the request presents, whatever it looks like, or `undefined`. `secure` is unknown outside of a Koa request. */
  read(req: IncomingMessage, how?: { readonly secure?: boolean | undefined }): string | undefined
  /** Put an id on the response, or with `null` have the client forget the one it has. */
  write(ctx: Context, id: string | null, how: { readonly maxAge: MaxAge; readonly secure: boolean }): void
  /** The request header that `read` looks at, for `Vary`. */
  readonly vary?: string
}

/** The attributes of RFC 6265bis, each changing exactly its own. */
export interface CookieOptions {
  /**
   * One name for every request. Names with a prefix need what the prefix promises.
   * @default '__Host-sid' on a secure request, 'sid' on a plain one and where path, domain or secure forbid the prefix
   */
  readonly name?: string
  /** @default '/' */
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
  /** @default false */
  readonly partitioned?: boolean
  /** @default none */
  readonly priority?: 'low' | 'medium' | 'high'
}

export interface CookieTransport extends Transport {
  /** Every name the id may be read under. */
  readonly names: readonly string[]
}

const optionNames = {
  known: ['name', 'path', 'domain', 'httpOnly', 'secure', 'sameSite', 'partitioned', 'priority'],
  hints: cookieHints,
}
/** A token of RFC 9110, section 5.6.2. */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** What is wrong with `options` is left with `checked`. */
export function cookieTransport(options: CookieOptions = {}, checked = new OptionCheck('session()')): CookieTransport {
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

  const hasPrefix = name === undefined && path === '/' && domain === undefined && secure !== false
  const secureName = name ?? (hasPrefix ? '__Host-sid' : 'sid')
  const plainName = name ?? (secure === true ? secureName : 'sid')
  const names = [...new Set([secureName, plainName])]
  const nameOf = (isSecure: boolean) => (isSecure ? secureName : plainName)

  return {
    names,
    vary: 'Cookie',
    read(req, how) {
      const header = req.headers.cookie
      if (header === undefined) return undefined
      if (how?.secure !== undefined) return valueUnder(header, nameOf(how.secure))
      for (const one of names) {
        const value = valueUnder(header, one)
        if (value !== undefined) return value
      }
      return undefined
    },
    write(ctx, id, how) {
      const { res } = ctx
      const isSecure = secure === 'auto' ? how.secure : secure
      if (id !== null) adviseOnCookie(ctx, { secureRequest: how.secure, secure: isSecure, domain })
      const cookie = `${nameOf(how.secure)}=${id ?? ''}`
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
      if (partitioned) attributes.push('Partitioned')
      if (priority !== undefined) attributes.push(`Priority=${capitalized(priority)}`)
      const others = [res.getHeader('Set-Cookie') ?? []].flat().map(String)
      const kept = others.filter(other => !other.startsWith(`${nameOf(how.secure)}=`))
      res.setHeader('Set-Cookie', [...kept, [cookie, ...attributes].join('; ')])
    },
  }
}

const capitalized = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)

/**
 * The first cookie of that name. Only spaces and tabs are skipped before a name: what else Unicode calls a space would let
 * a cookie that any subdomain may set pass for one with a `__Host-` prefix.
 */
function valueUnder(header: string, name: string): string | undefined {
  for (const pair of header.split(';')) {
    const start = pair.search(/[^ \t]/)
    if (start >= 0 && pair.startsWith(name, start) && pair[start + name.length] === '=') {
      return pair.slice(start + name.length + 1)
    }
  }
  return undefined
}

/** The id in a header, for clients without cookies: the response sets it, the client sends it back. Empty: forget it. */
export function headerTransport(options: { readonly name: string }): Transport {
  const check = new OptionCheck('headerTransport()')
  check.names(options, { known: ['name'] })
  const { name } = options
  check.that('name', typeof name === 'string' && token.test(name), 'must be a header name', name)
  check.end()
  return {
    vary: name,
    read(req) {
      const value = req.headers[name.toLowerCase()]
      return typeof value === 'string' && value !== '' ? value : undefined
    },
    write(ctx, id) {
      ctx.set(name, id ?? '')
    },
  }
}
