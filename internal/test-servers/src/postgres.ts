import { realpath, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import type { Recipe } from './engine.js'
import { databaseMemory } from './memory.js'
import { pingPostgres } from './ping.js'
import { host } from './ports.js'
import { findProgram, run } from './run.js'
import { copyTemplate, give, unprivileged } from './template.js'

const password = 'test'
const url = (port: number) => `postgres://postgres:${password}@${host}:${port}/postgres`

export const postgres: Recipe = {
  kind: 'postgres',
  packages: async () => [
    ...(findProgram('postgres') ? [] : ['postgresql']),
    ...(findProgram('pgbouncer') ? [] : ['pgbouncer']),
  ],
  async find() {
    const found = findProgram('postgres')
    if (found === undefined) return undefined
    const command = await realpath(found)
    const version = (await run(command, ['--version'])).trim().split(' ')[2]
    return {
      label: `PostgreSQL ${version} (${command})`,
      command,
      async prepare(folder, port) {
        const owner = await unprivileged()
        await give(folder, owner)
        const data = join(folder, 'data')
        const key = ['postgres', command, version, owner.uid ?? userInfo().uid, password].join()
        await copyTemplate(key, data, owner, async template => {
          const passwords = join(dirname(template), 'password')
          await writeFile(passwords, password)
          await give(passwords, owner)
          const args = ['-D', template, '-U', 'postgres', '--auth=scram-sha-256', `--pwfile=${passwords}`]
          const settings = ['--encoding=UTF8', '--locale=C', '--wal-segsize=4', '--no-sync']
          await run(join(dirname(command), 'initdb'), [...args, ...settings], { cwd: dirname(template), ...owner })
        })
        const settings = {
          listen_addresses: host,
          unix_socket_directories: '',
          max_connections: 400,
          shared_buffers: `${databaseMemory(32)}MB`,
          // In the data folder, so that a kill -9 leaves nothing in /dev/shm.
          dynamic_shared_memory_type: 'mmap',
        }
        return {
          url: url(port),
          command,
          args: ['-D', data, '-p', String(port), ...Object.entries(settings).flatMap(([k, v]) => ['-c', `${k}=${v}`])],
          ...owner,
          // At once, like SIGKILL, but gives the shared memory back to the system.
          endSignal: 'SIGQUIT',
          ping: pingPostgres,
        }
      },
    }
  },
  // By SIGTERM it waits until the last client has left.
  stopSignal: 'SIGINT',
  docker: {
    image: 'postgres:17',
    port: 5432,
    environment: { POSTGRES_PASSWORD: password },
    args: ['-c', 'max_connections=400'],
    url,
    ping: pingPostgres,
  },
  advice: 'install PostgreSQL (Debian: apt-get install postgresql pgbouncer; macOS: brew install postgresql)',
}
