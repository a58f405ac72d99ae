import { setTimeout as sleep } from 'node:timers/promises'
import { redisCommand } from './redis.js'
import { launchServer, type TestServer } from './server.js'
import { localEngine } from './supply.js'

export interface RedisClusterOptions {
  /** How many replicas; they are dealt out to the three masters in turn. @default 3 */
  readonly replicas?: number
  /** Further arguments for each node. */
  readonly args?: readonly string[]
}

export interface RedisCluster {
  /** The three first masters, then the replicas: the first of the first master, of the second, and so on. */
  readonly nodes: readonly TestServer[]
  /** The nodes that are masters by what the others say now. */
  masters(): Promise<TestServer[]>
  end(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const masterCount = 3
const slotCount = 16_384
const patience = 30_000

/** How far from its port a node takes another one for the other nodes. */
const busDistance = 10_000

/** A failover begins after this many milliseconds of silence. */
const nodeTimeout = 2_500

async function cluster(node: TestServer, ...words: (string | number)[]): Promise<string> {
  return String(await redisCommand(node.port, 'CLUSTER', ...words))
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + patience; !(await isSo()); await sleep(50)) {
    if (Date.now() > deadline) throw new Error(`Redis Cluster: ${what} took more than ${patience} ms`)
  }
}

async function join(nodes: readonly TestServer[]): Promise<void> {
  const [first, ...others] = nodes as [TestServer, ...TestServer[]]
  const masters = nodes.slice(0, masterCount)
  const replicas = nodes.slice(masterCount)
  for (const [index, master] of masters.entries()) {
    const start = Math.floor((index * slotCount) / masterCount)
    const end = Math.floor(((index + 1) * slotCount) / masterCount)
    const slots = Array.from({ length: end - start }, (_, offset) => start + offset)
    await cluster(master, 'ADDSLOTS', ...slots)
    // Different ones from the start, else the nodes spend their first seconds on settling it.
    await cluster(master, 'SET-CONFIG-EPOCH', index + 1)
  }
  for (const node of others) await cluster(node, 'MEET', first.host, first.port)
  await until('meeting', async () => {
    const known = await Promise.all(nodes.map(node => cluster(node, 'INFO')))
    return known.every(info => info.includes(`cluster_known_nodes:${nodes.length}\r\n`))
  })
  for (const [index, replica] of replicas.entries()) {
    const id = await cluster(masters[index % masterCount] as TestServer, 'MYID')
    // Refused until it has heard that the other one is a master.
    await until('replicating', () =>
      cluster(replica, 'REPLICATE', id).then(
        reply => reply === 'OK',
        () => false,
      ),
    )
  }
  await until('starting', async () => {
    const states = await Promise.all(nodes.map(node => cluster(node, 'INFO')))
    const links = await Promise.all(replicas.map(node => redisCommand(node.port, 'INFO', 'replication')))
    const views = await Promise.all(nodes.map(node => cluster(node, 'NODES')))
    return (
      states.every(info => info.includes('cluster_state:ok')) &&
      links.every(info => String(info).includes('master_link_status:up')) &&
      views.every(view => view.match(/ (?:myself,)?slave /g)?.length === (replicas.length || undefined))
    )
  })
}

/** A Redis Cluster of this process's own: three masters, with replicas that take over within two seconds or so. */
export async function startRedisCluster({ replicas = 3, args = [] }: RedisClusterOptions = {}): Promise<RedisCluster> {
  const { recipe, engine: single } = await localEngine('redis')
  const engine = { ...single, furtherPorts: [busDistance] }
  const settings = ['--cluster-enabled', 'yes', '--cluster-node-timeout', String(nodeTimeout)]
  // However long it was without its master: a test has no time to wait for a fresh copy.
  settings.push('--cluster-replica-validity-factor', '0', '--repl-diskless-sync-delay', '0')
  const starting = Array.from({ length: masterCount + replicas }, () =>
    launchServer({ recipe, engine, label: `${engine.label} in a cluster` }, [...settings, ...args]),
  )
  const results = await Promise.allSettled(starting)
  const nodes = results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
  const end = async () => {
    await Promise.all(nodes.map(node => node.end()))
  }
  try {
    await Promise.all(starting)
    await join(nodes)
  } catch (error) {
    await end()
    throw error
  }
  return {
    nodes,
    async masters() {
      const running = nodes.filter(node => node.pid !== undefined)
      const views = await Promise.all(running.map(node => cluster(node, 'NODES').catch(() => '')))
      return running.filter((_, index) => / myself,master /.test(views[index] ?? ''))
    },
    end,
    [Symbol.asyncDispose]: end,
  }
}
