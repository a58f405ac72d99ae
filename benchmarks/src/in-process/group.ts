import { Child } from '../harness/child.js'
import { median } from '../harness/statistics.js'
import { table } from '../harness/table.js'

const rounds = 6
const blocks = 4
const milliseconds = 30

const titles = {
  anonymous: 'anonymous',
  untouched: 'untouched',
  read: 'read',
  write: 'write',
  'read-large': '20 KB read',
}

type Action = keyof typeof titles
type Costs = Record<Action, number[]>

/** Further builds of the core to compare, as in `CORE=/path/to/dist/index.js`; several are separated by commas. */
export const otherCores = process.env.CORE?.split(',').filter(path => path !== '') ?? []

/** Processor time on top of bare Koa, without sockets. */
export async function inProcess(): Promise<string> {
  const contenders = ['koa', 'floor', 'ours', ...otherCores, 'koa-session']
  const costs = new Map<string, Costs>()
  for (const name of contenders)
    costs.set(name, { anonymous: [], untouched: [], read: [], write: [], 'read-large': [] })
  for (let round = 0; round < rounds; round++) {
    for (const name of contenders) {
      const child = new Child(new URL('round.js', import.meta.url), [name, String(blocks), String(milliseconds)])
      const measured = await child.answer<Costs>()
      await child.end()
      for (const action of Object.keys(titles) as Action[]) costs.get(name)?.[action].push(median(measured[action]))
    }
  }
  const bare = costs.get('koa') as Costs
  const lowest = (values: number[]) => Math.min(...values)
  const figure = (name: string, action: Action) => {
    const own = (costs.get(name) as Costs)[action]
    if (name === 'koa') return `${lowest(own).toFixed(1)} / ${median(own).toFixed(1)}`
    return `${(lowest(own) - lowest(bare[action])).toFixed(1)} / ${(median(own) - median(bare[action])).toFixed(1)}`
  }
  const ratio = (name: string, action: Action) => {
    const above = (of: string) => lowest((costs.get(of) as Costs)[action]) - lowest(bare[action])
    return (above(name) / above('floor')).toFixed(2)
  }
  const head = ['', ...Object.values(titles)]
  const actions = Object.keys(titles) as Action[]
  const label = (name: string) =>
    ({
      koa: 'bare Koa (whole request)',
      floor: 'floor: Map and JSON',
      ours: 'koa-session-core',
      'koa-session': 'koa-session 7',
    })[name] ?? `core at ${name}`
  const others = contenders.filter(name => name !== 'koa')
  return [
    `Microseconds of processor time per request, all threads, on top of bare Koa: minimum / median of ${rounds} fresh processes,`,
    `memory store. Sessions have 400 bytes. A difference of a few tenths, also one below zero, is noise.`,
    '',
    table(
      head,
      contenders.map(name => [label(name), ...actions.map(action => figure(name, action))]),
    ),
    '',
    'The minimum on top of bare Koa, as a multiple of the floor for the same request:',
    '',
    table(
      head,
      others.map(name => [label(name), ...actions.map(action => (action === 'anonymous' ? '' : ratio(name, action)))]),
    ),
  ].join('\n')
}
