import type { Recipe } from './engine.js'
import { pingRedis } from './ping.js'
import { host } from './ports.js'
import { findProgram, run } from './run.js'

/** Every acknowledged write is on disk, as the kill -9 tests require. */
export const durable: Readonly<Record<string, string>> = { appendonly: 'yes', appendfsync: 'always', save: '' }

const durableArgs = Object.entries(durable).flatMap(([key, value]) => [`--${key}`, value])

/** Sends one command over a connection of its own. */
export async function redisCommand(port: number, ...words: (string | number)[]): Promise<unknown> {
  const { Redis } = await import('ioredis')
  const client = new Redis(port, host, { retryStrategy: () => null, maxRetriesPerRequest: 0 })
  client.on('error', () => {})
  try {
    return await client.call(String(words[0]), ...words.slice(1))
  } finally {
    client.disconnect()
  }
}

export const redis: Recipe = {
  kind: 'redis',
  packages: async () => (findProgram('redis-server') ? [] : ['redis-server']),
  async find() {
    const command = findProgram('redis-server', 'valkey-server')
    if (command === undefined) return undefined
    const version = /v=(\S+)/.exec(await run(command, ['--version']))?.[1]
    return {
      label: `Redis ${version} (${command})`,
      command,
      prepare: async (folder, port) => ({
        url: `redis://${host}:${port}`,
        command,
        args: ['--port', String(port), '--bind', host, '--dir', folder, '--daemonize', 'no', ...durableArgs],
        ping: pingRedis,
      }),
    }
  },
  docker: {
    image: 'redis:7',
    port: 6379,
    environment: {},
    args: ['redis-server', ...durableArgs],
    url: port => `redis://${host}:${port}`,
    ping: pingRedis,
  },
  advice: 'install redis-server (Debian: apt-get install redis-server; macOS: brew install redis)',
}
