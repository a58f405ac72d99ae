import type { GuardedStore } from './guarded-store.js'
import type { SweepableStore } from './store.js'
import { clearTimeout, setTimeout } from './waiting.js'

/** Calls the store's `sweep`, if it has one, from the first request on, at random within a tenth of the interval. */
export class Sweeper {
  readonly #store: GuardedStore
  readonly #interval: number
  readonly #report: (error: unknown) => void
  #timer: NodeJS.Timeout | undefined
  #stopped: boolean

  /** `interval` in milliseconds; 0: never. */
  constructor(store: GuardedStore, interval: number, report: (error: unknown) => void) {
    this.#store = store
    this.#interval = interval
    this.#report = report
    this.#stopped = interval === 0 || !('sweep' in store.store)
  }

  start(): void {
    if (this.#stopped || this.#timer) return
    const wait = this.#interval * (0.9 + Math.random() * 0.1)
    this.#timer = setTimeout(async () => {
      await this.sweep().catch(this.#report)
      this.#timer = undefined
      this.start()
    }, wait).unref()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  /** Resolves to the number of deleted sessions; `0` if the backend expires them by itself. */
  async sweep(): Promise<number> {
    const { store } = this.#store
    if (!('sweep' in store)) return 0
    return this.#store.call('sweep', undefined, this.#store.deadline(), call => (store as SweepableStore).sweep(call))
  }
}
