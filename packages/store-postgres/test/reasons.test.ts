import { execFileSync } from 'node:child_process'
import { chown, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { certificate, hidden, ownServer, reasonOf, silentServer } from '@koa-session/store-tests'
import { startServer } from '@koa-session/test-servers'
import test from 'ava'
import { type PostgresStoreOptions, postgresStore } from 'koa-session-store-postgres'
import pg from 'pg'

const server = await ownServer('postgres')
const declare = server ? test.serial : test.skip
const silent = await silentServer()

async function prepare(url: string): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  await client.query(`
    CREATE ROLE web LOGIN PASSWORD 'right';
    CREATE TABLE closed (key text PRIMARY KEY, data text, expires_at bigint, seen_at bigint, version text, subject text)`)
  await client.end()
}

test.before(async () => {
  if (server) await prepare(server.url)
})
test.after.always(() => Promise.all([silent.close(), server?.end()]))

const at = (user: string, database = 'postgres') => ({
  url: `postgres://${user}@127.0.0.1:${server?.port}/${database}`,
})
const refuses = async (t: { regex(text: string, what: RegExp): void }, options: PostgresStoreOptions, reason: RegExp) =>
  t.regex(await reasonOf(postgresStore(options)), reason)

for (const [what, options, reason] of [
  ['a refused port', { url: `postgres://u:${hidden}@127.0.0.1:1/db` }, /^connect ECONNREFUSED 127\.0\.0\.1:1$/],
  [
    'an unknown host',
    { url: `postgres://u:${hidden}@nowhere.invalid/db` },
    /^getaddrinfo (ENOTFOUND|EAI_AGAIN) nowhere\.invalid$/,
  ],
  ['a server that never answers', { url: `postgres://u:${hidden}@127.0.0.1:${silent.port}/db` }, /timeout/],
] as const) {
  test(`the reason of a failure is named: ${what}`, t => refuses(t, options, reason))
}

for (const [what, options, reason] of [
  ['a wrong password', at(`web:${hidden}`), /^28P01: password authentication failed for user "web"$/],
  ['a wrong user', at(`nobody:${hidden}`), /^28P01: password authentication failed for user "nobody"$/],
  ['a database that is not there', at('web:right', 'nothere'), /^3D000: database "nothere" does not exist$/],
  ['a schema that is not there', { ...at('web:right'), schema: 'nothere' }, /^3F000: schema "nothere" does not exist$/],
  ['no table', { ...at('web:right'), createTable: false }, /^42P01: relation "sessions" does not exist$/],
  ['no right to make the table', at('web:right'), /^42501: permission denied for schema public$/],
  ['no right to the table', { ...at('web:right'), table: 'closed' }, /^42501: permission denied for table closed$/],
  [
    'TLS to a server without',
    { url: `${at(`web:${hidden}`).url}?ssl=true` },
    /^The server does not support SSL connections$/,
  ],
] as const) {
  declare(`the reason of a failure is named: ${what}`, t => refuses(t, options, reason))
}

declare('the reason of a failure is named: a server that takes nothing but TLS', async t => {
  const isRoot = process.getuid?.() === 0
  const idOf = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  const owner = isRoot ? { uid: idOf('-u'), gid: idOf('-g') } : {}
  const { key, cert, remove } = await certificate(owner)
  const rules = join(dirname(key), 'rules')
  await writeFile(rules, 'host all postgres 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n')
  if (owner.uid !== undefined) await chown(rules, owner.uid, owner.gid)
  const settings = { ssl: 'on', ssl_cert_file: cert, ssl_key_file: key, hba_file: rules }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const secure = await startServer('postgres', { args })
  try {
    await prepare(secure.url)
    const url = `postgres://web:right@127.0.0.1:${secure.port}/postgres`
    await refuses(t, { url }, /^28000: no pg_hba\.conf entry for host "127\.0\.0\.1".* no encryption$/)
    await refuses(t, { url: `${url}?sslmode=verify-full` }, /^DEPTH_ZERO_SELF_SIGNED_CERT: self-signed certificate$/)
  } finally {
    await secure.end()
    await remove()
  }
})
