import { isWhole, OptionCheck } from './check.js'
import { abortCases } from './testkit/abort.js'
import { conditionCases } from './testkit/conditions.js'
import { enumerationCases } from './testkit/enumeration.js'
import { expiryCases } from './testkit/expiry.js'
import { historyCases } from './testkit/histories.js'
import { lifecycleCases } from './testkit/lifecycle.js'
import { raceCases } from './testkit/races.js'
import { recordCases } from './testkit/records.js'
import { sweepingCases } from './testkit/sweeping.js'
import { touchCases } from './testkit/touch.js'
import { type Capability, type Case, type Create, World } from './testkit/world.js'

export { type RaceOptions, raceOfProcesses } from './testkit/race.js'
export type { Capability } from './testkit/world.js'

export interface ConformanceOptions {
  /**
   * Opens a store on `world`: the same name means the same data, and a new name means an empty store. Use it as a key
   * prefix, a table or a directory. It is a letter followed by 15 lower-case letters and digits. A case closes every store it
   * opened, but leaves its data in the backend.
   */
  readonly create: Create
  /**
   * The abilities of the store besides the five methods: `sweep`, `keys`, and `shared` if two stores on one world see the
   * same data. Without `shared` a case opens only one store.
   */
  readonly capabilities: readonly Capability[]
  /**
   * Repeats the plan of random operations that a failure printed.
   * @default a new one each time
   */
  readonly seed?: string
  /**
   * Deadline of one call, in milliseconds. If a call exceeds it, the case fails and names the call. The call gets more time
   * while calls of other cases are still answered. A whole case may take ten times as long.
   * @default 30_000
   */
  readonly timeout?: number
}

/** One rule of the contract. `run` rejects with an `AssertionError` that states the broken rule. */
export interface ConformanceCase {
  readonly title: string
  /** The part of the contract that the case tests. Filter by it when you repeat cases under other conditions. */
  readonly theme: Theme
  run(): Promise<void>
}

const known: readonly string[] = ['sweep', 'keys', 'shared'] satisfies Capability[]

/** The longest delay of a timer. */
const longest = 2 ** 31 - 1

const themes = {
  records: recordCases,
  conditions: conditionCases,
  touch: touchCases,
  expiry: expiryCases,
  lifecycle: lifecycleCases,
  abort: abortCases,
  enumeration: enumerationCases,
  sweeping: sweepingCases,
  races: [...raceCases, ...historyCases],
} satisfies Record<string, readonly Case[]>

export type Theme = keyof typeof themes

const cases = Object.entries(themes).flatMap(([theme, list]: [string, readonly Case[]]) =>
  list.map(each => ({ ...each, theme: theme as Theme })),
)

/**
 * The contract of `Store` as cases for any test runner. Each case builds its own world, so cases may run one by one or all
 * at once, if the backend has enough connections. Throws a `TypeError` if an option is wrong.
 *
 * @example
 * for (const { title, run } of conformanceCases({ create, capabilities: ['keys'] })) test(title, run)
 */
export function conformanceCases(options: ConformanceOptions): ConformanceCase[] {
  const { create, capabilities, seed, timeout = 30_000 } = checked(options)
  return cases
    .filter(({ needs }) => needs === undefined || capabilities.includes(needs))
    .map(({ title, theme, run }) => ({
      title,
      theme,
      run: () => World.with({ create, capabilities, seed, timeout }, run),
    }))
}

function checked(options: ConformanceOptions): ConformanceOptions {
  const check = new OptionCheck('conformanceCases()')
  check.names(options, { known: ['create', 'capabilities', 'seed', 'timeout'] })
  const { create, capabilities, seed, timeout = 30_000 } = options
  const wrong: unknown = Array.isArray(capabilities)
    ? capabilities.find(one => !known.includes(one))
    : (capabilities ?? null)
  check.that('create', typeof create === 'function', 'must be a function', create)
  check.that('capabilities', wrong === undefined, `must be an array of no others than ${known.join(', ')}`, wrong)
  check.that('seed', seed === undefined || typeof seed === 'string', 'must be a string', seed)
  const isTime = isWhole(timeout, 1, longest)
  check.that('timeout', isTime, `must be a whole number of milliseconds from 1 to ${longest}`, timeout)
  check.end()
  return options
}
