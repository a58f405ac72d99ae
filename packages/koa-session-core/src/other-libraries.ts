/*
 * Options of koa-session, koa-generic-session, express-session and cookie-session, by their names in lower case: the option here,
 * or why there is none.
 */

const idle = 'set idleTimeout and absoluteTimeout, in milliseconds'
const named = 'leave it out, or set cookie.name; not to the old name while adopt takes over old sessions'
const persistent = 'for a persistent cookie set maxAge, in milliseconds, beside cookie'
const renewed =
  'a session in use is renewed by itself, and so is its persistent cookie (maxAge), until absoluteTimeout; with Infinity, without end'
const unsigned = 'ids are not signed, because 32 random bytes cannot be guessed'
const secret = `${unsigned}; to encrypt what the store keeps, use encryptionKeys`
const ids = 'ids are always 32 random bytes'
const header = 'use transport: headerTransport({ name }), or a transport of your own'
const inStore = 'use a Store, as in store: redisStore({ url })'
const saved = 'a session is saved before the response, if it changed; await ctx.session.save() saves at once'
const stored = 'a session is stored once it holds data'
const text = 'use codec: { stringify, parse }'
const beforeSaving = 'change ctx.session in a middleware'
const valid = 'check ctx.session in a middleware, and await ctx.session.destroy()'
const attribute = (name: string): string => `it belongs in cookie: cookie.${name}`

export const sessionHints: Readonly<Record<string, string>> = {
  allowempty: stored,
  autocommit: saved,
  automanuallycommit: saved,
  beforesave: beforeSaving,
  contextstore: inStore,
  cookiename: named,
  cookieoptions: 'cookie',
  decode: text,
  defer: 'the session is read before the handler, and decoded when it is used',
  domain: attribute('domain'),
  encode: text,
  errorhandler: 'onError',
  expires: idle,
  expiresin: idle,
  externalkey: header,
  genid: ids,
  gensid: ids,
  httponly: attribute('httpOnly'),
  key: named,
  keys: secret,
  lifetime: idle,
  name: named,
  overwrite: 'the session cookie replaces only its own name',
  partitioned: attribute('partitioned'),
  password: secret,
  path: attribute('path'),
  prefix: 'it is an option of the store, as in redisStore({ url, prefix })',
  priority: attribute('priority'),
  proxy: 'set app.proxy = true of Koa',
  reconnecttimeout: 'a request waits at most storeTimeout for the store',
  redis: inStore,
  renew: renewed,
  resave: saved,
  rolling: renewed,
  samesite: attribute('sameSite'),
  saveuninitialized: stored,
  secret,
  secure: attribute('secure'),
  serializer: text,
  sessionidstore: header,
  signed: unsigned,
  timeout: 'idleTimeout',
  ttl: 'idleTimeout, in milliseconds, says how long a session lives without a request',
  unset: 'ctx.session = null always ends the session',
  url: inStore,
  valid,
}

export const cookieHints: Readonly<Record<string, string>> = {
  encode: 'an id needs no encoding',
  expires: persistent,
  key: 'name',
  keys: secret,
  maxage: persistent,
  overwrite: sessionHints.overwrite as string,
  secret,
  signed: unsigned,
}

/** Members that koa-session, koa-generic-session and express-session give to the context or request. */
export const contextHints: Readonly<Record<string, string>> = {
  sessionId: 'use ctx.session.id, and in logs ctx.session.key',
  sessionID: 'use ctx.session.id, and in logs ctx.session.key',
  sessionSave: 'a changed session is saved by itself; await ctx.session.save() saves at once',
  regenerateSession: 'await ctx.session.regenerate()',
  saveSession: 'await ctx.session.save()',
  sessionOptions: 'set ctx.session.maxAge for one session; all else is an option of session()',
  sessionStore: 'use what session() returned: list, revoke, revokeAll',
}
