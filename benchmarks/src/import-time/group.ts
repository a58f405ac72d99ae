import { Child } from '../harness/child.js'
import { median } from '../harness/statistics.js'
import { table } from '../harness/table.js'

const rounds = 7

const imports: readonly (readonly string[])[] = [
  ['koa'],
  ['koa-session-core'],
  ['koa-session-core', 'koa-session-store-file'],
  ['koa-session-core', 'koa-session-store-sqlite'],
  ['ioredis'],
  ['koa-session-core', 'koa-session-store-redis'],
  ['pg'],
  ['koa-session-core', 'koa-session-store-postgres'],
  ['mysql2'],
  ['koa-session-core', 'koa-session-store-mysql'],
  ['mongodb'],
  ['koa-session-core', 'koa-session-store-mongo'],
  ['koa-session'],
  ['express-session'],
  ['express-session', 'session-file-store'],
  ['express-session', 'connect-redis', 'redis'],
  ['express-session', 'connect-pg-simple'],
  ['express-session', 'express-mysql-session'],
  ['express-session', 'connect-mongo'],
  ['@fastify/cookie', '@fastify/session'],
]

/** How long it takes to import each, in fresh processes that take turns. */
export async function importTime(): Promise<string> {
  const times = imports.map((): number[] => [])
  for (let round = -1; round < rounds; round++) {
    for (const [index, names] of imports.entries()) {
      const child = new Child(new URL('once.js', import.meta.url), names)
      const time = await child.answer<number>()
      await child.end()
      // The first round brings the files into memory.
      if (round >= 0) times[index]?.push(time)
    }
  }
  const rows = imports.map((names, index) => {
    const own = times[index] as number[]
    return [names.join(' + '), Math.min(...own).toFixed(1), median(own).toFixed(1)]
  })
  return [
    `Milliseconds to import, in ${rounds} fresh processes: the minimum and the median. A store imports its driver.`,
    '',
    table(['', 'minimum', 'median'], rows),
  ].join('\n')
}
