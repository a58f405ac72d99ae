import { Child } from '../harness/child.js'
import { cores } from '../harness/cores.js'
import { median, spread } from '../harness/statistics.js'
import { table } from '../harness/table.js'
import { all, bare, fastifySession, floors, type HttpContender, koaSession, ours } from './contenders.js'
import { type Running, start } from './running.js'
import { Visitor } from './visitor.js'

const rounds = Number(process.env.ROUNDS ?? 6)
const seconds = Number(process.env.SECONDS ?? 0.7)
/** So long, in seconds, a server is busy before it is measured: until then V8 compiles what is hot, on the same core. */
const warmUp = Math.max(seconds, 2.5)
const connections = 20

/** Requests that do no work on a session are measured where they could show something. */
const idle = [...bare, ...floors.slice(0, 1), ...ours, ...koaSession, ...fastifySession]

const actions = [
  { path: '/anonymous', title: 'anonymous', contenders: idle, hasCookie: false },
  { path: '/untouched', title: 'untouched', contenders: idle, hasCookie: true },
  { path: '/read', title: 'read', contenders: all, hasCookie: true },
  { path: '/write', title: 'write', contenders: all, hasCookie: true },
]

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

/** Throughput and processor time over HTTP, with all servers running and taking turns. */
export async function http(): Promise<string> {
  const running = new Map<HttpContender, Running & { cookies: string[] }>()
  for (const contender of all) {
    const server = await start(contender)
    if (server === undefined) continue
    const isBare = contender.library === contender.base
    const visitors = Array.from({ length: connections }, () => new Visitor(server.url))
    if (!isBare) for (const visitor of visitors) await visitor.signIn()
    running.set(contender, { ...server, cookies: visitors.map(visitor => visitor.cookie) })
  }
  const load = new Child(new URL('load.js', import.meta.url), [], { core: cores.load })
  await load.answer()

  async function measure(contender: HttpContender, path: string, hasCookie: boolean, duration: number) {
    const { child, url, cookies } = running.get(contender) as Running & { cookies: string[] }
    const before = await child.ask<number>('processor time')
    const run = { url: url + path, cookies: hasCookie ? cookies : [''], connections, duration }
    const result = await load.ask<LoadResult>(run)
    const used = (await child.ask<number>('processor time')) - before
    if (result.failed > 0) throw new Error(`${contender.title}: ${result.failed} requests of ${path} failed`)
    return { rate: result.requests / result.seconds, cost: used / result.requests }
  }

  const figures = new Map<string, Figures>()
  const nameOf = (path: string, contender: HttpContender) => `${path} ${contender.title}`
  for (let round = -1; round < rounds; round++) {
    for (const { path, contenders, hasCookie } of actions) {
      for (const contender of contenders) {
        if (!running.has(contender)) continue
        const { rate, cost } = await measure(contender, path, hasCookie, round < 0 ? warmUp : seconds)
        if (round < 0) continue
        const name = nameOf(path, contender)
        const own = figures.get(name) ?? { rates: [], costs: [] }
        own.rates.push(rate)
        own.costs.push(cost)
        figures.set(name, own)
      }
    }
  }
  for (const { child } of [...running.values(), { child: load }]) await child.end()

  const ratios = (values: readonly number[], base: readonly number[]) =>
    values.map((value, index) => value / (base[index] ?? Number.NaN))
  const parts = actions.map(({ path, title, contenders }) => {
    const rows = contenders.flatMap(contender => {
      const own = figures.get(nameOf(path, contender))
      const of = (library: string, storage = '') => {
        const other = all.find(each => each.library === library && each.storage === storage)
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
    const head = ['', 'requests/s', 'to bare', 'µs', 'to bare', 'rate to floor', 'µs to floor']
    return `### ${title}\n\n${table(head, rows)}`
  })
  return [
    `${connections} connections, each another visitor, for ${seconds} s in each of ${rounds} rounds in which all servers take turns, after one of`,
    `${warmUp} s that warms up. Ratios are to the bare framework of the same round (bare Koa, Express or Fastify): the median and, in brackets, the`,
    'quartiles. Rate: more is better. µs: processor time of the server per request, less is better. The floor is that of the',
    'same storage.',
    '',
    parts.join('\n\n'),
  ].join('\n')
}
