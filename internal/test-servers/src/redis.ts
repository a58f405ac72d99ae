import type { Recipe } from './engine.js'
import { pingRedis } from './ping.js'
import { host } from './ports.js'
import { findProgram, run } from './run.js'

/** Every acknowledged write is on disk: what the kill -9 tests are about. */
const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', '']

export const redis: Recipe = {
  kind: 'redis',
  packages: async () => (findProgram('redis-server') ? [] : ['redis-server']),
  async find() {
    const command = findProgram('redis-server', 'valkey-server')
    if (command === undefined) return undefined
    const version = /v=(\S+)/.exec(await run(command, ['--version']))?.[1]
    return {
      label: `Redis ${version} (${command})`,
      prepare: async (folder, port) => ({
        url: `redis://${host}:${port}`,
        command,
        args: ['--port', String(port), '--bind', host, '--dir', folder, '--daemonize', 'no', ...durable],
        ping: pingRedis,
      }),
    }
  },
  docker: {
    image: 'redis:7',
    port: 6379,
    environment: {},
    args: ['redis-server', ...durable],
    url: port => `redis://${host}:${port}`,
    ping: pingRedis,
  },
  advice: 'install redis-server (Debian: apt-get install redis-server; macOS: brew install redis)',
}
