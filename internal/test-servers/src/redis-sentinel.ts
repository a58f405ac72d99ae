import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Engine } from './engine.js'
import { pingRedis } from './ping.js'
import { host } from './ports.js'
import { durable, redisCommand } from './redis.js'
import { launchServer, type TestServer } from './server.js'
import { localEngine } from './supply.js'

export interface RedisSentinelOptions {
  /** Further lines of the two servers' configuration. */
  readonly config?: readonly string[]
}

export interface RedisSentinel {
  /** The sentinels' name for the master. */
  readonly name: string
  /** The first master and its replica. */
  readonly servers: readonly [master: TestServer, replica: TestServer]
  readonly sentinels: readonly TestServer[]
  /** The master by what the sentinels say now. */
  master(): Promise<TestServer>
  end(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const name = 'main'
const sentinelCount = 3
const patience = 30_000

/** A failover begins after this many milliseconds of silence. */
const downAfter = 2_500

/** With a configuration file: sentinels rewrite it, so that a server keeps its role over a restart. */
function configured(engine: Engine, lines: readonly string[], mode: readonly string[] = []): Engine {
  return {
    ...engine,
    async prepare(folder, port) {
      const file = join(folder, 'redis.conf')
      const own = [`port ${port}`, `bind ${host}`, `dir ${folder}`, 'daemonize no']
      await writeFile(file, [...own, ...lines, ''].join('\n'))
      return { url: `redis://${host}:${port}`, command: engine.command, args: [file, ...mode], ping: pingRedis }
    },
  }
}

/** They know the replica and each other: only then a failover is possible. */
async function isSettled(sentinel: TestServer): Promise<boolean> {
  const pairs = (await redisCommand(sentinel.port, 'SENTINEL', 'MASTER', name)) as string[]
  const value = (field: string) => Number(pairs[pairs.indexOf(field) + 1])
  return value('num-slaves') === 1 && value('num-other-sentinels') === sentinelCount - 1
}

/** A master, its replica, and three sentinels that make the replica the master when the master is silent. */
export async function startRedisSentinel({ config = [] }: RedisSentinelOptions = {}): Promise<RedisSentinel> {
  const { recipe, engine } = await localEngine('redis')
  const started: TestServer[] = []
  const start = async (lines: readonly string[], mode?: readonly string[]) => {
    const server = await launchServer({ recipe, engine: configured(engine, lines, mode), label: engine.label })
    started.push(server)
    return server
  }
  const end = async () => {
    // The sentinels first, which would begin a failover.
    await Promise.all(started.slice(2).map(server => server.end()))
    await Promise.all(started.map(server => server.end()))
  }
  try {
    const data = [...Object.entries(durable).map(([key, value]) => `${key} "${value}"`), ...config]
    const master = await start(data)
    const replica = await start([...data, `replicaof ${host} ${master.port}`, 'repl-diskless-sync-delay 0'])
    const watch = [
      `sentinel monitor ${name} ${host} ${master.port} 2`,
      `sentinel down-after-milliseconds ${name} ${downAfter}`,
      `sentinel failover-timeout ${name} 5000`,
    ]
    const sentinels = await Promise.all(Array.from({ length: sentinelCount }, () => start(watch, ['--sentinel'])))
    const deadline = Date.now() + patience
    while (!(await Promise.all(sentinels.map(isSettled))).every(Boolean)) {
      if (Date.now() > deadline) throw new Error(`the sentinels did not find each other in ${patience} ms`)
      await sleep(50)
    }
    return {
      name,
      servers: [master, replica],
      sentinels,
      async master() {
        const sentinel = sentinels.find(each => each.pid !== undefined)
        if (sentinel === undefined) throw new Error('no sentinel runs')
        const address = await redisCommand(sentinel.port, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name)
        const port = Number((address as string[])[1])
        return [master, replica].find(each => each.port === port) as TestServer
      },
      end,
      [Symbol.asyncDispose]: end,
    }
  } catch (error) {
    await end()
    throw error
  }
}
