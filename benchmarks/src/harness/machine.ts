import { existsSync, readFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem, type } from 'node:os'
import { pinning } from './cores.js'
import { table } from './table.js'

/** Versions of what is compared, as installed. */
const compared = ['koa', 'koa-session-core', 'koa-session', 'express', 'express-session', 'fastify', '@fastify/session']

function versionOf(name: string): string | undefined {
  for (const folder of ['../../node_modules/', '../../../node_modules/']) {
    const file = new URL(`${folder}${name}/package.json`, import.meta.url)
    if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')).version
  }
  return undefined
}

/** What a reader has to know to compare: machine, versions, command. */
export function machine(command: string): string {
  const [cpu] = cpus()
  const versions = compared.flatMap(name => versionOf(name) ?? []).length
  const installed = compared.map(name => [name, versionOf(name)]).filter(([, version]) => version !== undefined)
  const rows = [
    ['command', `\`${command}\``],
    ['date', new Date().toISOString().slice(0, 16).replace('T', ' ') + ' UTC'],
    ['machine', `${cpu?.model ?? 'unknown'}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB`],
    ['system', `${type()} ${release()}`],
    ['Node.js', process.version],
    [
      'load before the run',
      loadavg()
        .map(load => load.toFixed(2))
        .join(', '),
    ],
    ['cores', pinning],
    ...(versions > 0 ? [['versions', installed.map(pair => pair.join(' ')).join(', ')]] : []),
  ]
  return table(['', ''], rows).replaceAll('---:', '---')
}
