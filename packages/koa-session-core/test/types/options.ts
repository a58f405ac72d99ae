import { createServer } from 'node:http'
import {
  headerTransport,
  isSessionError,
  jsonCodec,
  memoryStore,
  type SessionErrorCode,
  type SessionOptions,
  type Store,
  session,
} from 'koa-session-core'

const full: Required<SessionOptions> = {
  store: memoryStore({ maxSessions: 10 }),
  cookie: {
    name: 'id',
    path: '/app',
    domain: 'example.com',
    httpOnly: true,
    secure: 'auto',
    sameSite: 'strict',
    partitioned: false,
    priority: 'high',
  },
  idleTimeout: 1,
  absoluteTimeout: Number.POSITIVE_INFINITY,
  touchInterval: 0,
  maxAge: 'session',
  subject: data => JSON.stringify(data) || undefined,
  transport: headerTransport({ name: 'X-Session' }),
  adopt: {
    from: async ctx => {
      const credential = ctx.cookies.get('old', { signed: true })
      return credential ? { credential, data: { userId: 1 }, maxAge: 'session' } : undefined
    },
    until: new Date(),
  },
  codec: jsonCodec(),
  encryptionKeys: ['a passphrase of 32 or more characters', new Uint8Array(32)],
  storeTimeout: 1,
  storeFailure: 'anonymous',
  maxSessionsPerSubject: 1,
  maxBytes: 1,
  sweepInterval: 0,
  onError: (error, ctx) => console.error(error.message, ctx?.path),
}
session(full)
session({})
session({ codec: JSON, maxAge: 60_000, cookie: { secure: true } })
session({
  transport: { read: req => req.headers.cookie, write: (ctx, id, { maxAge }) => ctx.set('X', `${id}${maxAge}`) },
})

// @ts-expect-error a misspelt option
session({ idelTimeout: 1 })
// @ts-expect-error an option of another library
session({ secret: 'keyboard cat' })
// @ts-expect-error times are numbers
session({ idleTimeout: '1h' })
// @ts-expect-error times are numbers
session({ absoluteTimeout: new Date() })
// @ts-expect-error times are numbers
session({ touchInterval: null })
// @ts-expect-error a term is 'session' or a number
session({ maxAge: 'forever' })
// @ts-expect-error a misspelt cookie option
session({ cookie: { samesite: 'lax' } })
// @ts-expect-error lower case
session({ cookie: { sameSite: 'Lax' } })
// @ts-expect-error the term is an option of the session
session({ cookie: { maxAge: 1000 } })
// @ts-expect-error not a value of secure
session({ cookie: { secure: 'always' } })
// @ts-expect-error not a store
session({ store: new Map() })
// @ts-expect-error a subject is a string
session({ subject: () => 1 })
// @ts-expect-error a subject is found at once
session({ subject: async () => 'Ada' })
// @ts-expect-error not a policy
session({ storeFailure: 'ignore' })
// @ts-expect-error a list
session({ encryptionKeys: 'a passphrase of 32 or more characters' })
// @ts-expect-error without write
session({ transport: { read: () => 'id' } })
// @ts-expect-error a codec makes text
session({ codec: { stringify: () => new Uint8Array(), parse: () => ({}) } })
// @ts-expect-error not a function
session({ onError: true })
// @ts-expect-error a misspelt option
memoryStore({ maxSession: 1 })
// @ts-expect-error a name is needed
headerTransport({})

/** Types as a store package uses them. */
export const custom: Store = {
  name: 'custom',
  read: async (_key, call) => {
    call?.signal?.throwIfAborted()
    return { data: '', expiresAt: 1, seenAt: 1, version: 'v' }
  },
  write: async (_key, record, expected) => record.version !== expected,
  touch: async (_key, { seenAt, expiresAt }) => seenAt < expiresAt,
  destroy: async () => {},
  close: async () => {},
}
// @ts-expect-error without touch
export const half: Store = {
  name: 'half',
  read: custom.read,
  write: custom.write,
  destroy: custom.destroy,
  close: custom.close,
}

export async function administer(): Promise<void> {
  await using sessions = session({ subject: data => JSON.stringify(data) })
  const { id, key, cookie }: { id: string; key: string; cookie: string } = await sessions.create({})
  for await (const device of sessions.list(id)) console.log(device.key, device.data, device.seenAt.toFixed())
  await sessions.revoke(key)
  const ended: number = await sessions.revokeAll(cookie, { except: key })
  const swept: number = await sessions.sweep()
  console.log(ended, swept)
  // @ts-expect-error except is a key
  await sessions.revokeAll(id, { except: 1 })
  // @ts-expect-error whose?
  sessions.list()
  createServer().on('upgrade', async req => {
    const found = await sessions.open(req)
    // @ts-expect-error there may be none
    found.save()
    await found?.save()
  })
}

export function codeOf(error: unknown): SessionErrorCode | undefined {
  // @ts-expect-error not known to be a SessionError
  void error.code
  if (!isSessionError(error)) return undefined
  // @ts-expect-error a code that does not exist
  if (error.code === 'ERR_SESSION_OOPS') return undefined
  // @ts-expect-error a code is not assigned
  error.code = 'ERR_SESSION_STORE'
  return error.code
}
