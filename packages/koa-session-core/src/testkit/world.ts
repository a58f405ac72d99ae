import { randomBytes } from 'node:crypto'
import type { EnumerableStore, SessionRecord, Store, SweepableStore } from '../store.js'

export type Capability = 'sweep' | 'keys' | 'shared'

export type Create = (world: string) => Store | Promise<Store>

export interface Case {
  /** A sentence of the contract. */
  readonly title: string
  /** The case is left out for stores without this. */
  readonly needs?: Capability
  run(world: World): Promise<void>
}

interface WorldOptions {
  readonly create: Create
  readonly capabilities: readonly Capability[]
  readonly seed: string | undefined
}

/** Data that no other case sees, and the stores opened on it. */
export class World {
  readonly capabilities: readonly Capability[]
  readonly seed: string | undefined
  readonly #create: Create
  readonly #name = `w${randomBytes(8).toString('hex').slice(1)}`
  readonly #opened: Promise<Store>[] = []

  constructor({ create, capabilities, seed }: WorldOptions) {
    this.#create = create
    this.capabilities = capabilities
    this.seed = seed
  }

  /** Runs `use` on a new world, then closes what it opened. A failure of `use` is told before one of closing. */
  static async with(options: WorldOptions, use: (world: World) => Promise<void>): Promise<void> {
    const world = new World(options)
    try {
      await use(world)
    } catch (error) {
      await world.#close()
      throw error
    }
    const failed = (await world.#close()).find(closing => closing.status === 'rejected')
    if (failed) throw failed.reason
  }

  /** A new store on this world. Stores that share nothing are opened once only: then it is the same again. */
  async open(): Promise<Store> {
    const first = this.#opened[0]
    if (first && !this.capabilities.includes('shared')) return first
    // Called in a promise, so that a store that cannot be opened fails the case and closing goes on.
    const opening = Promise.resolve().then(() => this.#create(this.#name))
    this.#opened.push(opening)
    return opening
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

  /** Runs `use` on a second world beside this one. */
  async beside(use: (world: World) => Promise<void>): Promise<void> {
    await World.with({ create: this.#create, capabilities: this.capabilities, seed: this.seed }, use)
  }

  async #close(): Promise<PromiseSettledResult<void>[]> {
    const opened = (await Promise.allSettled(this.#opened)).flatMap(store =>
      store.status === 'fulfilled' ? [store.value] : [],
    )
    return Promise.allSettled(opened.map(async store => store.close()))
  }
}

const hex = (bytes: number): string => randomBytes(bytes).toString('hex')

/** A key, or a subject: both are 64 lower-case hex characters. */
export const newKey = (): string => hex(32)

export const newVersion = (): string => randomBytes(12).toString('base64url')

/** A record that lives for an hour, so that a slow store on a busy machine is not taken for one that loses sessions. */
export function newRecord(fields: Partial<SessionRecord> = {}): SessionRecord {
  const now = Date.now()
  return { data: `{"n":"${hex(4)}"}`, expiresAt: now + 3_600_000, seenAt: now, version: newVersion(), ...fields }
}

/** Runs `task` `count` times at once. */
export function atOnce<T>(count: number, task: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => task(index)))
}

/** The item at `index`, round and round: spreads clients over stores. */
export function pick<T>(items: readonly T[], index: number): T {
  return items[index % items.length] as T
}
