import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pingPostgres } from './ping.js'
import { host } from './ports.js'
import { findProgram, run } from './run.js'
import { launchServer, type TestServer } from './server.js'
import { localEngine, ServerUnavailableError } from './supply.js'
import { give, unprivileged } from './template.js'

export interface PgbouncerOptions {
  /** The PostgreSQL server behind it, by its URL. */
  readonly postgres: { readonly url: string }
  /** Settings of the `[pgbouncer]` section beside or instead of those made here. */
  readonly settings?: Readonly<Record<string, string | number>>
}

/** A PgBouncer that hands a server connection to another client after each transaction. */
export async function startPgbouncer({ postgres, settings = {} }: PgbouncerOptions): Promise<TestServer> {
  const { recipe, engine } = await localEngine('postgres')
  const command = findProgram('pgbouncer')
  if (command === undefined) throw new ServerUnavailableError('postgres', ['pgbouncer is not on this machine'])
  const { hostname, port: behind, username, password, pathname } = new URL(postgres.url)
  const user = decodeURIComponent(username)
  const label = (await run(command, ['--version'])).split('\n')[0] as string
  return launchServer({
    recipe: { ...recipe, stopSignal: 'SIGTERM' },
    label,
    engine: {
      ...engine,
      label,
      command,
      async prepare(folder, port) {
        const owner = await unprivileged()
        const users = join(folder, 'users')
        await writeFile(users, `"${user}" "${decodeURIComponent(password)}"\n`)
        const all = {
          listen_addr: host,
          listen_port: port,
          unix_socket_dir: '',
          pool_mode: 'transaction',
          default_pool_size: 20,
          max_client_conn: 400,
          auth_type: 'scram-sha-256',
          auth_file: users,
          // Roles that tests create are asked for behind.
          auth_user: user,
          admin_users: user,
          ...settings,
        }
        const section = Object.entries(all).map(([key, value]) => `${key} = ${value}`)
        const file = join(folder, 'pgbouncer.ini')
        await writeFile(
          file,
          ['[databases]', `* = host=${hostname} port=${behind}`, '[pgbouncer]', ...section, ''].join('\n'),
        )
        for (const each of [folder, users, file]) await give(each, owner)
        const url = new URL(postgres.url)
        url.host = `${host}:${port}`
        url.pathname = pathname
        return { url: url.href, command, args: [file], ...owner, ping: pingPostgres }
      },
    },
  })
}
