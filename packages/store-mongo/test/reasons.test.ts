import { hidden, ownServer, reasonOf, silentServer } from '@koa-session/store-tests'
import test from 'ava'
import { session } from 'koa-session-core'
import { mongoStore } from 'koa-session-store-mongo'
import { MongoClient } from 'mongodb'

const server = await ownServer('mongo')
const declare = server ? test.serial : test.skip
const silent = await silentServer()

test.after.always(() => Promise.all([silent.close(), server?.end()]))

const at = (host: string, rest = '') => ({ url: `mongodb://u:${hidden}@${host}/db?authSource=admin${rest}` })

for (const [what, options, reason] of [
  ['a refused port', at('127.0.0.1:1'), /^connect ECONNREFUSED 127\.0\.0\.1:1$/],
  ['two refused ports', at('127.0.0.1:1,127.0.0.1:2', '&replicaSet=r'), /^connect ECONNREFUSED 127\.0\.0\.1:[12]/],
  ['an unknown host', at('nowhere.invalid'), /^getaddrinfo (ENOTFOUND|EAI_AGAIN) nowhere\.invalid$/],
  [
    'an unknown cluster',
    { url: `mongodb+srv://u:${hidden}@nowhere.invalid/db` },
    /^querySrv \w+ _mongodb\._tcp\.nowhere\.invalid$/,
  ],
  ['a server that never answers', at(`127.0.0.1:${silent.port}`), /timed out/],
] as const) {
  test(`the reason of a failure is named: ${what}`, async t => {
    t.regex(await reasonOf(mongoStore(options)), reason)
  })
}

declare('the reason of a failure is named: a wrong user and password', async t => {
  // A stand-in that knows no users says so.
  const url = `${server?.url}`.replace('://', `://nobody:${hidden}@`)
  t.regex(await reasonOf(mongoStore({ url })), /^\d+: (Authentication failed|no such command: 'saslStart')|aslStart/)
})

declare('the reason of a failure is named: TLS to a server without', async t => {
  const url = `${server?.url}${server?.url.includes('?') ? '&' : '?'}tls=true`
  t.regex(await reasonOf(mongoStore({ url })), /secureConnect|ERR_SSL_|SSL routines|connection .* closed/)
})

test('the reason of a failure is named: clients that try for longer than storeTimeout', async t => {
  const client = new MongoClient(`mongodb://u:${hidden}@127.0.0.1:1`)
  const collection = client.db('app').collection('sessions')
  for (const store of [mongoStore({ collection }), mongoStore(at('127.0.0.1:1'))]) {
    const sessions = session({ store, storeTimeout: 1_500 })
    const error = await t.throwsAsync(sessions.create({}), { code: 'ERR_SESSION_TIMEOUT' })
    t.regex(error.message, /within storeTimeout \(1500 ms\); the last error was connect ECONNREFUSED 127\.0\.0\.1:1$/)
    await sessions.close()
  }
  await client.close()
})
