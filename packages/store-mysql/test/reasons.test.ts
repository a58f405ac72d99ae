import { certificate, hidden, ownServer, reasonOf, silentServer } from '@koa-session/store-tests'
import { startServer } from '@koa-session/test-servers'
import test from 'ava'
import { type MysqlStoreOptions, mysqlStore } from 'koa-session-store-mysql'
import { createConnection } from 'mysql2/promise'

const server = await ownServer('mysql')
const declare = server ? test.serial : test.skip
const silent = await silentServer()

test.before(async () => {
  if (!server) return
  const connection = await createConnection(server.url)
  await connection.query(`CREATE USER 'reader'@'%' IDENTIFIED BY 'right'`)
  await connection.query(`GRANT SELECT ON test.* TO 'reader'@'%'`)
  await connection.query(`CREATE USER 'writer'@'%' IDENTIFIED BY 'right'`)
  await connection.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON test.* TO 'writer'@'%'`)
  await connection.end()
})
test.after.always(() => Promise.all([silent.close(), server?.end()]))

const at = (user: string, rest = 'test') => ({ url: `mysql://${user}@127.0.0.1:${server?.port}/${rest}` })
const refuses = async (t: { regex(text: string, what: RegExp): void }, options: MysqlStoreOptions, reason: RegExp) =>
  t.regex(await reasonOf(mysqlStore(options)), reason)

for (const [what, options, reason] of [
  ['a refused port', { url: `mysql://u:${hidden}@127.0.0.1:1/db` }, /^connect ECONNREFUSED 127\.0\.0\.1:1$/],
  [
    'an unknown host',
    { url: `mysql://u:${hidden}@nowhere.invalid/db` },
    /^getaddrinfo (ENOTFOUND|EAI_AGAIN) nowhere\.invalid$/,
  ],
  ['a server that never answers', { url: `mysql://u:${hidden}@127.0.0.1:${silent.port}/db` }, /ETIMEDOUT/],
] as const) {
  test(`the reason of a failure is named: ${what}`, t => refuses(t, options, reason))
}

for (const [what, options, reason] of [
  ['a wrong password', at(`writer:${hidden}`), /^ER_ACCESS_DENIED_ERROR: Access denied for user 'writer'@/],
  ['a wrong user', at(`nobody:${hidden}`), /^ER_ACCESS_DENIED_ERROR: Access denied for user 'nobody'@/],
  ['a database that is not there', at('test:test', 'nothere'), /^ER_BAD_DB_ERROR: Unknown database 'nothere'$/],
  ['a database that is closed', at('writer:right', 'mysql'), /^ER_DBACCESS_DENIED_ERROR: .*to database 'mysql'$/],
  ['no database', at('test:test', ''), /^ER_NO_DB_ERROR: No database selected$/],
  [
    'no table',
    { ...at('writer:right'), createTable: false },
    /^ER_NO_SUCH_TABLE: Table 'test\.sessions' doesn't exist$/,
  ],
  [
    'no right to make the table',
    at('writer:right'),
    /^ER_TABLEACCESS_DENIED_ERROR: CREATE command denied to user 'writer'/,
  ],
  ['no right to the table', at('reader:right'), /^ER_TABLEACCESS_DENIED_ERROR: INSERT command denied to user 'reader'/],
] as const) {
  declare(`the reason of a failure is named: ${what}`, t => refuses(t, options, reason))
}

/** Does the server speak TLS by itself, as MySQL 8 does? */
async function speaksTls(): Promise<boolean> {
  const connection = await createConnection(`${server?.url}`)
  const [[row]] = await connection.query<never[]>(`SHOW VARIABLES LIKE 'have_ssl'`)
  await connection.end()
  return (row as { Value?: string } | undefined)?.Value === 'YES'
}

declare('the reason of a failure is named: TLS to a server without', async t => {
  const expected = (await speaksTls())
    ? /certificate/
    : /^HANDSHAKE_NO_SSL_SUPPORT: Server does not support secure connection$/
  await refuses(t, { url: `${at(`writer:${hidden}`).url}?ssl={}` }, expected)
})

declare('the reason of a failure is named: a server that takes nothing but TLS', async t => {
  const { key, cert, remove } = await certificate()
  const secure = await startServer('mysql', { args: [`--ssl-cert=${cert}`, `--ssl-key=${key}`] })
  try {
    const connection = await createConnection(secure.url)
    await connection.query('SET GLOBAL require_secure_transport = ON')
    await connection.end()
    // MariaDB 10.11 says no more than that.
    await refuses(t, { url: secure.url }, /^ER_ACCESS_DENIED_ERROR|: Connections using insecure transport are prohib/)
    await refuses(t, { url: `${secure.url}?ssl={}` }, /^\w+: self-signed certificate$/)
  } finally {
    await secure.end()
    await remove()
  }
})
