import type { Runtime } from './runtime.js'
import type { SweepableStore } from './store.js'
import { clearTimeout, setTimeout } from './waiting.js'

/** Calls the store's `sweep`, if it has one, from the first request on, at random within a tenth of the interval. */
export class Sweeper {
  readonly #runtime: Runtime
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(runtime: Runtime) {
    this.#runtime = runtime
    this.#stopped = runtime.options.sweepInterval === 0 || !('sweep' in runtime.options.store)
  }

  start(): void {
    if (this.#stopped || this.#timer) return
    const wait = this.#runtime.options.sweepInterval * (0.9 + Math.random() * 0.1)
    this.#timer = setTimeout(async () => {
      await this.sweep().catch(error => this.#runtime.report(error))
      this.#timer = undefined
      this.start()
    }, wait).unref()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  /** Resolves to how many expired sessions went; `0` where the backend removes them by itself. */
  async sweep(): Promise<number> {
    const { options, store } = this.#runtime
    if (!('sweep' in options.store)) return 0
    const sweepable = options.store as SweepableStore
    return store.call('sweep', undefined, store.deadline(), call => sweepable.sweep(call))
  }
}
