/*
 * Options of koa-session, koa-generic-session, express-session and cookie-session, by their names in lower case: the option here,
 * or why there is none.
 */

const idle = 'sessions end by idleTimeout and absoluteTimeout, in milliseconds'
const named = 'the name of the cookie is cookie.name'
const persistent = 'a persistent cookie is maxAge, in milliseconds, beside cookie'
const renewed = 'a session in use lives on by itself, and so does its persistent cookie (maxAge)'
const unsigned = 'nothing is signed: an id is 32 random bytes that nobody can guess'
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
  defer: 'nothing is read before it is needed',
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
  overwrite: 'the cookie replaces its own, and leaves others alone',
  partitioned: attribute('partitioned'),
  password: secret,
  path: attribute('path'),
  prefix: 'it is an option of the store, as in redisStore({ url, prefix })',
  priority: attribute('priority'),
  proxy: 'set app.proxy = true of Koa',
  reconnecttimeout: 'a request waits for the store for storeTimeout at most',
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
  sessionOptions: 'set ctx.session.maxAge for one session; all else is an option of session()',
  sessionStore: 'use what session() returned: list, revoke, revokeAll',
}
