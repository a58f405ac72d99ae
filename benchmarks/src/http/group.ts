import { Child } from '../harness/child.js'
import { cores } from '../harness/cores.js'
import { median, spread } from '../harness/statistics.js'
import { table } from '../harness/table.js'
import { all, type HttpContender, storages } from './contenders.js'
import { type Running, start } from './running.js'
import { Visitor } from './visitor.js'

const rounds = Number(process.env.ROUNDS ?? 4)
const seconds = Number(process.env.SECONDS ?? 0.5)
const connections = 20

/**
 * So long, in seconds, a server is busy before its first path is measured, and before each other one: until then V8 compiles what
 * is hot, on the same core. A share of the request as small as that of sessions in memory shows only later.
 */
const warmUp = { memory: { first: 5, other: 1.5 }, backend: { first: 2.5, other: 1 } }

const actions = [
  { path: '/anonymous', title: 'anonymous', hasCookie: false },
  { path: '/untouched', title: 'untouched', hasCookie: true },
  { path: '/read', title: 'read', hasCookie: true },
  { path: '/write', title: 'write', hasCookie: true },
]

/** Requests that do no work on a session are measured where they could show something. */
const isMeasured = ({ library, storage, base }: HttpContender, path: string): boolean =>
  path === '/read' ||
  path === '/write' ||
  (library === 'floor' ? storage === 'memory' : base !== 'express' || storage === '')

/** Servers that take turns with each other and with the bare frameworks: those on one storage. */
interface Group {
  readonly contenders: readonly HttpContender[]
  readonly rounds: number
  readonly warmUp: { readonly first: number; readonly other: number }
}

/** A session in memory costs so little that only many rounds show it. */
const memoryRounds = 3 * rounds

const inKoa = ({ base }: HttpContender): boolean => base === 'koa'
const isBare = ({ library, base }: HttpContender): boolean => library === base

const groups: readonly Group[] = storages.flatMap(storage => {
  const own = all.filter(
    each => !isBare(each) && (each.storage === storage || (storage === 'memory' && each.library === 'koa-session')),
  )
  const withBare = (contenders: readonly HttpContender[]) => [
    ...all.filter(each => isBare(each) && contenders.some(({ base }) => base === each.base)),
    ...contenders,
  ]
  if (storage !== 'memory') return [{ contenders: withBare(own), rounds, warmUp: warmUp.backend }]
  const others = own.filter(each => !inKoa(each))
  return [
    { contenders: withBare(own.filter(inKoa)), rounds: memoryRounds, warmUp: warmUp.memory },
    { contenders: withBare(others), rounds, warmUp: warmUp.backend },
  ]
})

interface Figures {
  /** Requests per second, one of each round. */
  readonly rates: number[]
  /** Processor time of the server in microseconds per request, one of each round. */
  readonly costs: number[]
}

interface LoadResult {
  readonly failed: number
  readonly requests: number
  readonly seconds: number
}

/** Throughput and processor time over HTTP. */
export async function http(): Promise<string> {
  const load = new Child(new URL('load.js', import.meta.url), [], { core: cores.load })
  await load.answer()
  const measured: Map<string, Figures>[] = []
  for (const group of groups) measured.push(await measureGroup(group, load))
  await load.end()

  const ratios = (values: readonly number[], base: readonly number[]) =>
    values.map((value, index) => value / (base[index] ?? Number.NaN))
  const rowsOf = (figures: Map<string, Figures>, path: string, { contenders }: Group) =>
    contenders.flatMap(contender => {
      const own = figures.get(nameOf(path, contender))
      const of = (library: string, storage = '') => {
        const other = contenders.find(each => each.library === library && each.storage === storage)
        return other && figures.get(nameOf(path, other))
      }
      const base = of(contender.base)
      if (own === undefined || base === undefined) return []
      const floor = contender.library === 'ours' ? of('floor', contender.storage) : undefined
      return [
        [
          contender.title,
          median(own.rates).toFixed(0),
          spread(ratios(own.rates, base.rates)),
          median(own.costs).toFixed(1),
          spread(ratios(own.costs, base.costs)),
          floor ? spread(ratios(own.rates, floor.rates)) : '',
          floor ? spread(ratios(own.costs, floor.costs)) : '',
        ],
      ]
    })
  const parts = actions.map(({ path, title }) => {
    const rows = groups.flatMap((group, index) => rowsOf(measured[index] ?? new Map(), path, group))
    // A bare framework is measured with each storage, and shown once.
    const shown = rows.filter(([name], index) => rows.findIndex(([other]) => other === name) === index)
    const head = ['', 'requests/s', 'to bare', 'µs', 'to bare', 'rate to floor', 'µs to floor']
    return `### ${title}\n\n${table(head, shown)}`
  })
  return [
    `${connections} connections, each another visitor. The servers on one storage take turns with the bare framework, for ${seconds} s in each`,
    `of ${rounds} rounds (${memoryRounds} with Koa and sessions in memory), after ${warmUp.backend.first} s of load (${warmUp.memory.first} s) that warm a server up. Ratios`,
    'are to the bare framework of the same round (Koa, Express or Fastify): the median and, in brackets, the',
    'quartiles. Rate: more is better. µs: processor time of the server per request, less is better. The floor is that of the',
    'same storage.',
    '',
    parts.join('\n\n'),
  ].join('\n')
}

const nameOf = (path: string, { title }: HttpContender): string => `${path} ${title}`

/** The figures by path and contender. Contenders whose storage is not available here have none. */
async function measureGroup({ contenders, rounds, warmUp }: Group, load: Child): Promise<Map<string, Figures>> {
  const running = new Map<HttpContender, Running & { cookies: string[] }>()
  for (const contender of contenders) {
    const server = await start(contender)
    if (server === undefined) continue
    const visitors = Array.from({ length: connections }, () => new Visitor(server.url))
    if (!isBare(contender)) for (const visitor of visitors) await visitor.signIn()
    running.set(contender, { ...server, cookies: visitors.map(visitor => visitor.cookie) })
  }

  async function measure(contender: HttpContender, path: string, hasCookie: boolean, duration: number) {
    const { child, url, cookies } = running.get(contender) as Running & { cookies: string[] }
    const before = await child.ask<number>('processor time')
    const run = { url: url + path, cookies: hasCookie ? cookies : [''], connections, duration }
    const result = await load.ask<LoadResult>(run)
    const used = (await child.ask<number>('processor time')) - before
    if (result.failed > 0) throw new Error(`${contender.title}: ${result.failed} requests of ${path} failed`)
    return { rate: result.requests / result.seconds, cost: used / result.requests }
  }

  const turns = actions.flatMap(({ path, hasCookie }) =>
    [...running.keys()].filter(one => isMeasured(one, path)).map(contender => ({ contender, path, hasCookie })),
  )
  const warm = new Set<HttpContender>()
  const figures = new Map<string, Figures>()
  for (const { contender, path, hasCookie } of turns) {
    await measure(contender, path, hasCookie, warm.has(contender) ? warmUp.other : warmUp.first)
    warm.add(contender)
    figures.set(nameOf(path, contender), { rates: [], costs: [] })
  }
  for (let round = 0; round < rounds; round++) {
    for (const { contender, path, hasCookie } of turns) {
      const { rate, cost } = await measure(contender, path, hasCookie, seconds)
      const own = figures.get(nameOf(path, contender))
      own?.rates.push(rate)
      own?.costs.push(cost)
    }
  }
  for (const { child } of running.values()) await child.end()
  return figures
}
