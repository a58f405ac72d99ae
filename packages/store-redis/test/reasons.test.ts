import { certificate, hidden, ownServer, reasonOf, silentServer } from '@koa-session/store-tests'
import { freePort, startServer } from '@koa-session/test-servers'
import test from 'ava'
import { Redis } from 'ioredis'
import { session } from 'koa-session-core'
import { type RedisStoreOptions, redisStore } from 'koa-session-store-redis'

const server = await ownServer('redis')
const declare = server ? test.serial : test.skip
const port = server?.port ?? 0
const silent = await silentServer()
const admin = new Redis(port, { lazyConnect: true, retryStrategy: () => null })
admin.on('error', () => {})

test.before(async () => {
  if (!server) return
  await admin.call('acl', 'setuser', 'web', 'on', '>right', '~session:*', '&*', '+@all')
  await admin.call('acl', 'setuser', 'elsewhere', 'on', '>right', '~other:*', '&*', '+@all')
  await admin.call('acl', 'setuser', 'weak', 'on', '>right', '~*', '&*', '+@all', '-eval', '-evalsha', '-@scripting')
})
test.after.always(async () => {
  admin.disconnect()
  await Promise.all([silent.close(), server?.end()])
})

const at = (user: string, rest = '', scheme = 'redis') => ({ url: `${scheme}://${user}@127.0.0.1:${port}${rest}` })
const refuses = async (t: { regex(text: string, what: RegExp): void }, options: RedisStoreOptions, reason: RegExp) =>
  t.regex(await reasonOf(redisStore(options)), reason)

for (const [what, options, reason] of [
  ['a refused port', { url: `redis://:${hidden}@127.0.0.1:1` }, /^connect ECONNREFUSED 127\.0\.0\.1:1$/],
  [
    'an unknown host',
    { url: `redis://:${hidden}@nowhere.invalid` },
    /^getaddrinfo (ENOTFOUND|EAI_AGAIN) nowhere\.invalid$/,
  ],
  [
    'a server that never answers',
    { url: `redis://:${hidden}@127.0.0.1:${silent.port}` },
    /^(Socket timeout|Command timed out)/,
  ],
] as const) {
  test(`the reason of a failure is named: ${what}`, t => refuses(t, options, reason))
}

for (const [what, options, reason] of [
  ['a wrong password', at(`web:${hidden}`), /^WRONGPASS invalid username-password pair/],
  ['a wrong user', at(`nobody:${hidden}`), /^WRONGPASS invalid username-password pair/],
  ['no right to the keys', at('elsewhere:right'), /^NOPERM .*permissions to access/],
  ['no right to the commands', at('weak:right'), /^NOPERM .*permissions to run the 'evalsha' command/],
  ['a database that is not there', at('web:right', '/99'), /^ERR DB index is out of range$/],
  ['TLS to a server without', at(`web:${hidden}`, '', 'rediss'), /does the server speak TLS\?$|^ERR_SSL_WRONG_VERSION/],
] as const) {
  declare(`the reason of a failure is named: ${what}`, t => refuses(t, options, reason))
}

declare('the reason of a failure is named: a server that takes nothing but TLS', async t => {
  const { key, cert, remove } = await certificate()
  const secure = await freePort()
  const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert, '--tls-auth-clients', 'no']
  const both = await startServer('redis', { args: ['--tls-port', String(secure), ...files] })
  try {
    await refuses(t, { url: `redis://127.0.0.1:${secure}` }, /does it want TLS \(rediss:\/\/\)\?$/)
    await refuses(t, { url: `rediss://127.0.0.1:${secure}` }, /^DEPTH_ZERO_SELF_SIGNED_CERT: self-signed certificate$/)
  } finally {
    await both.end()
    await remove()
  }
})

declare('a database that is not there is an error of every call, and nothing lands in another one', async t => {
  const store = redisStore({ url: `redis://127.0.0.1:${port}/99`, prefix: 'lost:' })
  const record = { data: 'data', expiresAt: Date.now() + 60_000, seenAt: 1, version: 'one', subject: 'f'.repeat(64) }
  const key = 'a'.repeat(64)
  const out = { message: 'ERR DB index is out of range' }
  for (let round = 0; round < 3; round++) {
    const calls = [store.write(key, record, null), store.read(key), store.destroy(key), store.write(key, record, 'one')]
    for (const call of await Promise.allSettled(calls)) {
      t.is(call.status === 'rejected' && (call.reason as Error).message, out.message)
    }
  }
  await store.close()
  t.deepEqual(await admin.keys('lost:*'), [])
})

test('the reason of a failure is named: clients of the app', async t => {
  for (const [options, code] of [
    [{ maxRetriesPerRequest: 1 }, 'ERR_SESSION_STORE'],
    // By default the driver tries for longer than storeTimeout.
    [{}, 'ERR_SESSION_TIMEOUT'],
  ] as const) {
    const client = new Redis('redis://127.0.0.1:1', options)
    client.on('error', () => {})
    const sessions = session({ store: redisStore({ client }), storeTimeout: 3_000 })
    const error = await t.throwsAsync(sessions.create({}), { code })
    t.regex(error.message, /connect ECONNREFUSED 127\.0\.0\.1:1$/)
    client.disconnect()
    await sessions.close()
  }
})
