import { cpus, loadavg, release, totalmem, type } from 'node:os'
import { pinning } from './cores.js'
import { table } from './table.js'
import { versionOf } from './versions.js'

const frameworks = ['koa', 'express', 'fastify']
const drivers = ['ioredis', 'redis', 'pg', 'mysql2', 'mongodb']
const libraries = ['koa-session-core', 'koa-session', 'express-session', '@fastify/session']
const stores = ['connect-redis', 'connect-pg-simple', 'express-mysql-session', 'connect-mongo', 'session-file-store']

const listed = (names: readonly string[]): string => names.map(name => `${name} ${versionOf(name)}`).join(', ')

/** The facts that a reader needs to compare results: machine, versions, command. */
export function machine(command: string): string {
  const [cpu] = cpus()
  const load = loadavg().map(average => average.toFixed(2))
  const rows = [
    ['command', `\`${command}\``],
    ['date', `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`],
    ['machine', `${cpu?.model ?? 'unknown'}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`],
    ['system', `${type()} ${release()}`],
    ['load before the run', load.join(', ')],
    ['cores', pinning],
    ['Node.js', process.version],
    ['frameworks', listed(frameworks)],
    ['libraries', listed(libraries)],
    ['their stores', listed(stores)],
    ['drivers', listed(drivers)],
  ]
  return table(['', ''], rows).replaceAll('---:', '---')
}
