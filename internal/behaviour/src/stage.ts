import { deepEqual } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { SessionOptions, SessionRecord, Store } from 'koa-session-core'
import { Browser } from './browser.js'
import { isFull } from './full.js'
import { Site } from './site.js'

export interface BehaviourOptions {
  /** Opens a store on `world`: the same name means the same data, a new name an empty store. */
  create(world: string): Store | Promise<Store>
  /** Whether two stores on one world see the same data. Otherwise all apps of a case share one store. */
  readonly shared: boolean
  /** Whether a case that tries every combination does so, or takes each of its parts once. @default true */
  readonly everyCombination?: boolean
}

/** One rule of the design as a case for any test runner. */
export interface BehaviourCase {
  readonly title: string
  run(): Promise<void>
}

/** Everything one case works with: its own world, apps on it, browsers. */
export class Stage {
  /** Put into sessions, it tells where they are kept. */
  readonly mark = `mark-${randomBytes(6).toString('hex')}`
  readonly sites: Site[] = []
  #observer: Promise<Store> | undefined
  readonly #options: BehaviourOptions
  readonly #world = `w${randomBytes(8).toString('hex').slice(1)}`
  #stores: Promise<Store>[] = []
  /** Keys under which `remains` found no mark. */
  readonly #clean = new Set<string>()
  #clock: typeof Date.now | undefined

  private constructor(options: BehaviourOptions) {
    this.#options = options
  }

  /** Runs `use`, closes all it opened, and fails when an app met an error that the case did not take. */
  static async with(options: BehaviourOptions, use: (stage: Stage) => Promise<void>): Promise<void> {
    const stage = new Stage(options)
    try {
      await use(stage)
      await stage.#verifyClean()
      for (const site of stage.sites) deepEqual([site.reported, site.thrown], [[], []], 'no other errors')
    } finally {
      if (stage.#clock) Date.now = stage.#clock
      await Promise.all(stage.sites.map(site => site.close()))
      await Promise.all(stage.#stores.map(async store => (await store).close()))
    }
  }

  /**
   * Every pair of one of `ones` and one of `others`; on two apps, or where each part is enough, as many as show each of
   * them.
   */
  pairs<A, B>(ones: readonly A[], others: readonly B[]): (readonly [A, B])[] {
    const isCheapest = (this.#options.everyCombination ?? true) && this.sites.length < 2
    if (isCheapest || isFull) return ones.flatMap(one => others.map(other => [one, other] as const))
    const length = Math.max(ones.length, others.length)
    return Array.from({ length }, (_, n) => [ones[n % ones.length] as A, others[n % others.length] as B] as const)
  }

  /** A store on this world. Stores that share nothing are opened once only: then it is the same again. */
  store(): Promise<Store> {
    const [first] = this.#stores
    if (first && !this.#options.shared) return first
    const opening = Promise.resolve().then(() => this.#options.create(this.#world))
    this.#stores.push(opening)
    return opening
  }

  /** An app on this world, patient: a machine under load is no fault of the store. */
  async site(options: SessionOptions = {}): Promise<Site> {
    const site = await Site.start({ store: await this.store(), storeTimeout: 30_000, ...options })
    this.sites.push(site)
    return site
  }

  /** A browser with a session of `ann` that holds the mark and `data`. */
  async signedIn(site: Site, data: object = {}): Promise<Browser> {
    const browser = new Browser(site)
    await browser.visit(page => {
      page.session = { user: 'ann', mark: this.mark, ...data }
    })
    return browser
  }

  /** A browser whose session has no subject yet, and holds the mark and `data`. */
  async anonymous(site: Site, data: object = {}): Promise<Browser> {
    const browser = new Browser(site)
    await browser.visit(page => {
      page.session = { mark: this.mark, ...data }
    })
    return browser
  }

  /** Puts the clock of the process ahead until the case ends, in place of waiting. */
  forward(milliseconds: number): void {
    const now = Date.now
    this.#clock ??= now
    Date.now = () => now() + milliseconds
  }

  /** The stored records under the keys that this case has used. */
  records(): Promise<{ key: string; record: SessionRecord }[]> {
    return this.#recordsUnder(this.#keys())
  }

  /** The keys of everything stored that holds the mark. */
  async remains(): Promise<string[]> {
    // A case that asks many times would look up thousands of keys each time. The others are looked up once more at its end.
    const keys = this.#keys().filter(key => !this.#clean.has(key))
    const found = this.#marked(await this.#recordsUnder(keys))
    for (const key of keys) if (!found.includes(key)) this.#clean.add(key)
    return found
  }

  async #verifyClean(): Promise<void> {
    deepEqual(this.#marked(await this.#recordsUnder([...this.#clean])), [], 'nothing has come back')
  }

  #keys(): string[] {
    return [...new Set(this.sites.flatMap(site => site.store.calls.map(call => call.key)))]
  }

  async #recordsUnder(keys: readonly string[]): Promise<{ key: string; record: SessionRecord }[]> {
    // One for the whole case: each has connections of its own.
    this.#observer ??= this.store()
    const store = await this.#observer
    const found = await Promise.all(keys.map(async key => ({ key, record: await store.read(key) })))
    return found.filter((one): one is { key: string; record: SessionRecord } => one.record !== undefined)
  }

  #marked(records: readonly { key: string; record: SessionRecord }[]): string[] {
    return records.filter(({ record }) => record.data.includes(this.mark)).map(({ key }) => key)
  }
}

/** A case that builds its own apps. */
export interface StageCase {
  readonly title: string
  run(stage: Stage): Promise<void>
}

/** The title of a case on two apps. */
export const onTwo = (title: string): string => `${title}, on two apps`

/** A case whose requests meet in one app, and once more on two: there the store alone decides. */
export function onOneAndTwo(
  title: string,
  run: (stage: Stage, one: Site, other: Site) => Promise<void>,
  options?: SessionOptions,
): StageCase[] {
  return [
    {
      title,
      run: async stage => {
        const site = await stage.site(options)
        await run(stage, site, site)
      },
    },
    {
      title: onTwo(title),
      run: async stage => run(stage, await stage.site(options), await stage.site(options)),
    },
  ]
}
