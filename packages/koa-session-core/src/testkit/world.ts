import { randomBytes } from 'node:crypto'
import type { EnumerableStore, SessionRecord, Store, SweepableStore } from '../store.js'
import { CaseTime } from './case-time.js'
import { checkedStore, type Tally } from './checked-store.js'

export type Capability = 'sweep' | 'keys' | 'shared'

export type Create = (world: string) => Store | Promise<Store>

export interface Case {
  /** A sentence of the contract. */
  readonly title: string
  /** The case runs only for stores with this capability. */
  readonly needs?: Capability
  run(world: World): Promise<void>
}

interface WorldOptions {
  readonly create: Create
  readonly capabilities: readonly Capability[]
  readonly seed: string | undefined
  /** Milliseconds that one call has. */
  readonly timeout: number
}

/** Deadline for closing the stores of a failed case, in milliseconds. */
const closingTime = 1_000

/** Data that no other case sees, and the stores opened on it. */
export class World {
  readonly capabilities: readonly Capability[]
  readonly seed: string | undefined
  readonly #options: WorldOptions
  readonly #time: CaseTime
  readonly #name = newWorld()
  readonly #tally: Tally = { written: new Set(), writes: 0, swept: 0 }
  readonly #opened: Promise<Store>[] = []

  private constructor(options: WorldOptions, time: CaseTime) {
    this.#options = options
    this.#time = time
    this.capabilities = options.capabilities
    this.seed = options.seed
  }

  /** Runs `use` on a new world, for the time of a case. */
  static async with(options: WorldOptions, use: (world: World) => Promise<void>): Promise<void> {
    await new World(options, new CaseTime(options.timeout)).#lend(use)
  }

  /** Runs `use` on a second world beside this one. */
  async beside(use: (world: World) => Promise<void>): Promise<void> {
    await new World(this.#options, this.#time).#lend(use)
  }

  /** Runs `use`, then closes the stores that it opened. A failure of `use` takes precedence over one of closing. */
  async #lend(use: (world: World) => Promise<void>): Promise<void> {
    try {
      await use(this)
    } catch (error) {
      this.#time.wane(closingTime)
      await this.#close()
      throw error
    }
    const failed = (await this.#close()).find(closing => closing.status === 'rejected')
    if (failed) throw failed.reason
  }

  /** Opens a store on this world. Without the capability `shared`, returns the same store each time. */
  async open(): Promise<Store> {
    const [first] = this.#opened
    return first && !this.capabilities.includes('shared') ? first : this.openAnother()
  }

  /** Always opens a new store on this world. `around` calls `create`. */
  async openAnother(around = (create: () => Store | Promise<Store>) => create()): Promise<Store> {
    // Call it in a promise, so that a store that cannot be opened fails the case, and closing goes on.
    const creating = Promise.resolve().then(() => around(() => this.#options.create(this.#name)))
    const opening = creating.then(store => checkedStore(store, this.#time, this.#tally))
    this.#opened.push(opening)
    return this.#time.bound(opening, 'Opening a store')
  }

  /** Stores opened at the same time, as the processes of one deployment do. */
  async openSeveral(count = 3): Promise<Store[]> {
    return Promise.all(Array.from({ length: count }, () => this.open()))
  }

  async openSweepable(): Promise<SweepableStore> {
    return (await this.open()) as SweepableStore
  }

  async openEnumerable(): Promise<EnumerableStore> {
    return (await this.open()) as EnumerableStore
  }

  /** Closes even stores that open after the deadline, without waiting for them. */
  #close(): Promise<PromiseSettledResult<void>[]> {
    const ignore = () => {}
    const closing = (opening: Promise<Store>) => opening.then(store => store.close(), ignore)
    return Promise.allSettled(this.#opened.map(opening => this.#time.bound(closing(opening), 'A call of close')))
  }
}

const hex = (bytes: number): string => randomBytes(bytes).toString('hex')

/** A name for `create`. */
export const newWorld = (): string => `w${hex(8).slice(1)}`

/** A key, or a subject: both are 64 lower-case hex characters. */
export const newKey = (): string => hex(32)

export const newVersion = (): string => randomBytes(12).toString('base64url')

/** A record that lives for an hour, so that a slow store on a busy machine does not seem to lose sessions. */
export function newRecord(fields: Partial<SessionRecord> = {}): SessionRecord {
  const now = Date.now()
  return { data: `{"n":"${hex(4)}"}`, expiresAt: now + 3_600_000, seenAt: now, version: newVersion(), ...fields }
}

/** Runs `task` `count` times at once. */
export function atOnce<T>(count: number, task: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => task(index)))
}

/** The item at `index` modulo the length: spreads clients over stores. */
export function pick<T>(items: readonly T[], index: number): T {
  return items[index % items.length] as T
}
