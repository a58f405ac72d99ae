import { ok } from 'node:assert/strict'
import { isWhole, OptionCheck } from '../check.js'
import { advice } from './race-records.js'
import type { Task } from './racer-tasks.js'
import { Racers } from './racers.js'
import type { rivalries } from './rivalries.js'
import { newKey, newWorld } from './world.js'

export interface RaceOptions {
  /**
   * A module that Node.js can import as it is, with an export `create(world)` that opens a store:
   * `new URL('./open.js', import.meta.url)`.
   */
  readonly module: URL | string
  /** @default 4 */
  readonly processes?: number
  /**
   * How often each process increments a counter at least.
   * @default 100
   */
  readonly increments?: number
  /**
   * The world that every process passes to `create`.
   * @default a new name
   */
  readonly world?: string
  /**
   * Options of Node.js for the processes, such as `['--import=tsx']`.
   * @default those of this process that concern loading
   */
  readonly execArgv?: readonly string[]
  /**
   * The race fails after this many milliseconds without progress, or of a part in which the processes rarely meet, and
   * after ten times as long in any case.
   * @default 30_000
   */
  readonly timeout?: number
}

/** The parts of the race: what the processes do, and how often they must meet for it to prove something. */
const parts = {
  raise: { what: 'raise a counter', meetings: 20 },
  contend: { what: 'create the same session', meetings: 15 },
  write: { what: 'write to a session, or end it', meetings: 12 },
  touch: { what: 'touch a session, or write to it and end it', meetings: 20 },
  destroy: { what: 'destroy a session, or create and write it', meetings: 12 },
  sweep: { what: 'sweep, or create a session over an expired one', meetings: 25 },
  count: { what: 'sweep, or leave something to sweep', meetings: 25 },
}

const longest = 2 ** 31 - 1

/**
 * Tests the promises of the contract that only several processes can break: a store that reads and then writes with a
 * synchronous driver is atomic in one process, but loses changes between two. It starts processes that open a store on one
 * world, lets them race, and stops them. Rejects with an `AssertionError` that states the broken rule.
 *
 * @example
 * test('the contract holds between processes', () => raceOfProcesses({ module: new URL('./open.js', import.meta.url) }))
 */
export async function raceOfProcesses(options: RaceOptions): Promise<void> {
  const { module, processes, increments, world, execArgv, timeout } = checked(options)
  const racers = new Racers(timeout)
  try {
    await racers.start(processes, execArgv, [String(module), world])
    await sharing(racers)
    await counting(racers, increments)
    await contending(racers)
    for (const rivalry of ['write', 'touch', 'destroy', 'sweep'] as const) await rivaling(racers, rivalry)
    if (await racers.one('open a store', { name: 'canSweep' })) await sweeping(racers)
    await racers.all('close the store', { name: 'close' })
  } finally {
    await racers.end()
  }
}

async function sharing(racers: Racers): Promise<void> {
  const key = newKey()
  await racers.one('create a session', { name: 'create', key, mark: 'shared' })
  const found = await racers.all('read what another process wrote', { name: 'read', key })
  const rule = 'Every process reads the writes of every other: a store in the memory of one process does not fit'
  ok(
    found.every(mark => mark === 'shared'),
    rule,
  )
}

async function counting(racers: Racers, increments: number): Promise<void> {
  const key = newKey()
  await racers.one('create a counter', { name: 'create', key, mark: '0' })
  const task = { name: 'raise', key, times: increments } as const
  const raised = ((await meet(racers, 'raise', task)) as number[]).reduce((sum, one) => sum + one)
  const count = await racers.one('read the counter', { name: 'read', key })
  ok(
    count === String(raised),
    `${racers.size} processes raised a counter from 0 to ${raised}. It is ${count}: ` + advice.write,
  )
}

async function contending(racers: Racers): Promise<void> {
  const task = { name: 'contend', key: newKey() } as const
  await meet(racers, 'contend', task)
}

async function meet(racers: Racers, part: keyof typeof parts, first: Task, others = first): Promise<unknown[]> {
  const { what, meetings } = parts[part]
  return racers.meet(what, first, others, meetings)
}

/** One process creates, changes and ends one session after another, and all others call one method meanwhile. */
async function rivaling(racers: Racers, rivalry: keyof typeof rivalries): Promise<unknown[]> {
  const task = { key: newKey(), rivalry }
  return meet(racers, rivalry, { name: 'own', ...task }, { name: 'rival', ...task })
}

async function sweeping(racers: Racers): Promise<void> {
  const [expired, ...swept] = (await rivaling(racers, 'count')) as number[]
  const last = (await racers.one('sweep', { name: 'sweep' })) as number
  const count = swept.reduce((sum, one) => sum + one, last)
  ok(
    count <= (expired ?? 0),
    `sweep counts a session only if it deleted it. Of ${expired} that had expired the processes counted ${count}`,
  )
}

/** Flags of Node.js that say how modules are found and compiled, of those this process was started with. */
function loadingFlags(): string[] {
  const flags: string[] = []
  for (let n = 0; n < process.execArgv.length; n++) {
    const flag = process.execArgv[n] ?? ''
    if (
      !/^(-r|-C|--(import|require|(experimental-)?loader|conditions|experimental-\S+|enable-source-maps))(=|$)/.test(
        flag,
      )
    )
      continue
    flags.push(flag)
    const takesNext = /^(-r|-C|--(import|require|(experimental-)?loader|conditions))$/.test(flag)
    if (takesNext) flags.push(process.execArgv[++n] ?? '')
  }
  return flags
}

function checked(options: RaceOptions): Required<RaceOptions> {
  const check = new OptionCheck('raceOfProcesses()')
  check.names(options, { known: ['module', 'processes', 'increments', 'world', 'execArgv', 'timeout'] })
  const {
    module,
    processes = 4,
    increments = 100,
    world = newWorld(),
    execArgv = loadingFlags(),
    timeout = 30_000,
  } = options
  const isModule = module instanceof URL || (typeof module === 'string' && /^[a-z][a-z\d+.-]+:/i.test(module))
  check.that('module', isModule, 'must be the URL of a module, such as new URL("./open.js", import.meta.url)', module)
  check.that('processes', isWhole(processes, 2, 64), 'must be a whole number from 2 to 64', processes)
  check.that('increments', isWhole(increments, 1, 1e6), 'must be a whole number from 1 to 1000000', increments)
  check.that('world', typeof world === 'string' && world !== '', 'must be a non-empty string', world)
  const areFlags = Array.isArray(execArgv) && execArgv.every(flag => typeof flag === 'string')
  check.that('execArgv', areFlags, 'must be an array of strings', execArgv)
  check.that('timeout', isWhole(timeout, 1, longest / 10), 'must be a whole number of milliseconds from 1 on', timeout)
  check.end()
  return { module, processes, increments, world, execArgv, timeout }
}
