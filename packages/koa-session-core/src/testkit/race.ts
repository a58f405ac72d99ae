import { AssertionError, ok } from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { isWhole, OptionCheck } from '../check.js'
import { clearTimeout, elapsed, setTimeout } from '../waiting.js'
import { isList } from './expectations.js'
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
   * How often each process increments a counter. A higher number makes it more likely that the processes meet.
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
   * The race fails after this many milliseconds without progress, and after ten times as long in any case.
   * @default 30_000
   */
  readonly timeout?: number
}

/** A task that the parent sends to a process of the race. */
export type Task =
  | { readonly name: 'read' | 'destroy'; readonly key: string }
  | { readonly name: 'create'; readonly keys: readonly string[]; readonly data: string }
  | { readonly name: 'raise'; readonly key: string; readonly times: number; readonly mostLost: number }
  | { readonly name: 'outlive'; readonly key: string; readonly milliseconds: number }
  | { readonly name: 'close' }

interface Answer {
  readonly sign?: true
  readonly value?: unknown
  readonly error?: string
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
    await creating(racers)
    await ending(racers)
    await racers.all('close the store', { name: 'close' })
  } finally {
    await racers.end()
  }
}

async function sharing(racers: Racers): Promise<void> {
  const key = newKey()
  await racers.one('create a session', { name: 'create', keys: [key], data: 'shared' })
  const found = await racers.all('read what another process wrote', { name: 'read', key })
  const rule = 'Every process reads the writes of every other: a store in the memory of one process does not fit'
  ok(
    found.every(data => data === 'shared'),
    rule,
  )
}

/** Again with more, until the processes have met often enough. */
async function counting(racers: Racers, increments: number): Promise<void> {
  for (let round = 0; round < 6; round++) {
    const [key, times] = [newKey(), increments * 2 ** round]
    const raised = racers.size * times
    await racers.one('create a counter', { name: 'create', keys: [key], data: '0' })
    const lost = await racers.all('raise a counter', { name: 'raise', key, times, mostLost: raised })
    const count = await racers.one('read the counter', { name: 'read', key })
    ok(
      count === String(raised),
      `${racers.size} processes raised a counter ${times} times each, so it is ${raised}. It is ${count}: ` +
        'write must check the version and replace the record in one step of the backend, not of a process',
    )
    if ((lost as number[]).reduce((sum, one) => sum + one) >= 10) return
  }
  throw failure('The processes rarely met, so the race proves nothing. Increase the number of increments')
}

async function creating(racers: Racers): Promise<void> {
  const keys = Array.from({ length: 50 }, newKey)
  const won = (await racers.all('create the same sessions', { name: 'create', keys, data: 'created' })) as string[][]
  isList(won.flat(), keys, 'Exactly one of the processes that create the same session wins', 'True was answered')
}

async function ending(racers: Racers): Promise<void> {
  for (let round = 0; round < 10; round++) {
    const key = newKey()
    await racers.one('create a session', { name: 'create', keys: [key], data: 'to be destroyed' })
    const outliving = racers.all('write until the session is gone', { name: 'outlive', key, milliseconds: 10_000 }, 1)
    outliving.catch(() => {})
    await new Promise(resolve => setTimeout(resolve, 3 * round))
    await racers.one('destroy a session', { name: 'destroy', key })
    const rule = 'A destroyed session stays gone, whatever other processes write and touch meanwhile'
    const isGone = async () => (await racers.one('read what was destroyed', { name: 'read', key })) === null
    // If the session has come back, the others write on for long.
    for (let isOver = false; !isOver; ) {
      ok(await isGone(), rule)
      const pause = new Promise<false>(resolve => setTimeout(resolve, 20, false))
      isOver = await Promise.race([outliving.then(() => true), pause])
    }
    ok((await outliving).every(Boolean), rule)
    ok(await isGone(), rule)
  }
}

/** The processes of a race. */
class Racers {
  readonly #timeout: number
  readonly #end: number
  #children: ChildProcess[] = []
  #lastSign = elapsed()

  constructor(timeout: number) {
    this.#timeout = timeout
    this.#end = elapsed() + 10 * timeout
  }

  get size(): number {
    return this.#children.length
  }

  async start(size: number, execArgv: readonly string[], args: readonly string[]): Promise<void> {
    // In the sources this module is TypeScript, and a process that runs them has a loader for it.
    const racer = new URL(import.meta.url.endsWith('.ts') ? './racer.ts' : './racer.js', import.meta.url)
    const children = Array.from({ length: size }, () => fork(fileURLToPath(racer), args, { execArgv: [...execArgv] }))
    for (const child of children) child.on('error', () => {})
    this.#children = children
    await this.all('open a store by the module of the race', { name: 'open' })
  }

  /** Has the first process do something. */
  async one(what: string, task: Task): Promise<unknown> {
    const [first] = this.#children
    return this.#ask(first as ChildProcess, what, task)
  }

  /** Has every process do the same, or every one but the first few. Resolves to their answers. */
  async all(what: string, task: Task | { name: 'open' }, but = 0): Promise<unknown[]> {
    return Promise.all(this.#children.slice(but).map(child => this.#ask(child, what, task)))
  }

  #ask(child: ChildProcess, what: string, task: Task | { name: 'open' }): Promise<unknown> {
    const who = `Process ${this.#children.indexOf(child) + 1} of ${this.size} should ${what}`
    return new Promise((resolve, reject) => {
      const hear = (answer: Answer) => {
        this.#lastSign = elapsed()
        if (answer.sign) return
        stop()
        if (answer.error === undefined) resolve(answer.value)
        else reject(failure(`${who}. It failed: ${answer.error}`))
      }
      const exit = (code: number | null, signal: string | null) => {
        stop()
        reject(failure(`${who}. It ended with ${signal ?? `code ${code}`}`))
      }
      let timer: NodeJS.Timeout
      const watch = () => {
        const left = Math.min(this.#lastSign + this.#timeout, this.#end) - elapsed()
        if (left > 0) {
          timer = setTimeout(watch, left)
          return
        }
        stop()
        reject(failure(`${who} within ${this.#timeout} ms, or make progress. It does neither`))
      }
      const stop = () => {
        clearTimeout(timer)
        child.off('message', hear)
        child.off('exit', exit)
      }
      child.on('message', hear)
      child.on('exit', exit)
      if (child.exitCode !== null || child.signalCode !== null) exit(child.exitCode, child.signalCode)
      else {
        watch()
        child.send(task, error => error && exit(null, error.message))
      }
    })
  }

  /** Stops all processes, even those that never yield. */
  async end(): Promise<void> {
    await Promise.all(
      this.#children.map(async child => {
        if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
        const exited = once(child, 'exit')
        child.kill('SIGKILL')
        await exited
      }),
    )
  }
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

const failure = (message: string) => new AssertionError({ message })
