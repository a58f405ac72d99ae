import { mkdir, realpath, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import type { Recipe } from './engine.js'
import { databaseMemory } from './memory.js'
import { pingMysql } from './ping.js'
import { host } from './ports.js'
import { findProgram, run } from './run.js'
import { copyTemplate } from './template.js'

const password = 'test'

/** Runs at every start, before the first connection is taken. */
const initSql = [
  'CREATE DATABASE IF NOT EXISTS test;',
  `CREATE USER IF NOT EXISTS 'test'@'%' IDENTIFIED BY '${password}';`,
  `GRANT ALL PRIVILEGES ON *.* TO 'test'@'%' WITH GRANT OPTION;`,
  `ALTER USER 'root'@'localhost' IDENTIFIED BY '${password}';`,
]

export const mysql: Recipe = {
  kind: 'mysql',
  // The core packages bring the programs and no service.
  packages: async () => (findProgram('mysqld', 'mariadbd') ? [] : ['mariadb-server-core', 'mariadb-client-core']),
  async find() {
    const found = findProgram('mysqld', 'mariadbd')
    if (found === undefined) return undefined
    const command = await realpath(found)
    const text = (await run(command, ['--no-defaults', '--version'])).trim()
    const isMaria = /mariadb/i.test(text)
    const version = /Ver (\S+)/.exec(text)?.[1]
    const isRoot = process.getuid?.() === 0
    const asUser = isRoot ? ['--user=root'] : []
    return {
      label: `${isMaria ? 'MariaDB' : 'MySQL'} ${version} (${command})`,
      command,
      async prepare(folder, port) {
        const data = join(folder, 'data')
        await copyTemplate(['mysql', command, text, userInfo().uid].join(), data, {}, async template => {
          const args = [
            '--no-defaults',
            `--datadir=${template}`,
            `--tmpdir=${dirname(template)}`,
            ...asUser,
            '--innodb-log-file-size=16M',
          ]
          if (isMaria) {
            const install = findProgram('mariadb-install-db', 'mysql_install_db')
            if (install === undefined) throw new Error(`${command} is there, but mariadb-install-db is not`)
            const more = ['--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve']
            await run(install, [...args, ...more], { cwd: dirname(template) })
          } else await run(command, [...args, '--initialize-insecure'], { cwd: dirname(template) })
        })
        // A server that starts deletes the temporary tables in its folder, those of every other server too.
        const temporary = join(folder, 'tmp')
        await mkdir(temporary)
        const init = join(folder, 'init.sql')
        await writeFile(init, `${initSql.join('\n')}\n`)
        const settings = [
          `--datadir=${data}`,
          `--tmpdir=${temporary}`,
          `--port=${port}`,
          `--bind-address=${host}`,
          `--socket=${join(folder, 'socket')}`,
          `--pid-file=${join(folder, 'pid')}`,
          `--init-file=${init}`,
          '--skip-name-resolve',
          '--skip-log-bin',
          '--max-connections=500',
          `--innodb-buffer-pool-size=${databaseMemory(64)}M`,
          `--innodb-log-file-size=${databaseMemory(64) / 4}M`,
          '--innodb-flush-log-at-trx-commit=1',
          '--performance-schema=OFF',
          ...(isMaria ? [] : ['--mysqlx=OFF']),
        ]
        return {
          url: `mysql://test:${password}@${host}:${port}/test`,
          command,
          args: ['--no-defaults', ...settings, ...asUser],
          ping: pingMysql,
        }
      },
    }
  },
  docker: {
    image: 'mysql:8',
    port: 3306,
    environment: { MYSQL_ROOT_PASSWORD: password, MYSQL_DATABASE: 'test' },
    args: ['--skip-log-bin', '--max-connections=500'],
    url: port => `mysql://root:${password}@${host}:${port}/test`,
    ping: pingMysql,
  },
  advice: 'install MariaDB or MySQL (Debian: apt-get install mariadb-server-core; macOS: brew install mariadb)',
}
