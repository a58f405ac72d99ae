import type { EnumerableStore, Store, SweepableStore } from './store.js'

/** The calls of one store. When it closes, calls under way end as usual, and new ones reject. */
class OpenCalls {
  readonly #store: string
  #running = 0
  #closing: Promise<void> | undefined
  #idle = () => {}

  /** `store` is its name, for the error. */
  constructor(store: string) {
    this.#store = store
  }

  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#closing) throw new Error(`the ${this.#store} store is closed`)
    this.#running++
    try {
      return await call()
    } finally {
      if (--this.#running === 0) this.#idle()
    }
  }

  /** Runs `release` once, after the last call under way. */
  close(release?: () => Promise<void>): Promise<void> {
    this.#closing ??= this.#close(release)
    return this.#closing
  }

  async #close(release: (() => Promise<void>) | undefined): Promise<void> {
    if (this.#running > 0) {
      await new Promise<void>(resolve => {
        this.#idle = resolve
      })
    }
    await release?.()
  }
}

type AnyStore = Store & Partial<SweepableStore & EnumerableStore>

/** Wraps a store so that it refuses calls after `close`, and releases it when the calls under way have ended. */
export function closable<S extends AnyStore>(store: S): S {
  const calls = new OpenCalls(store.name)
  const methods: AnyStore = {
    name: store.name,
    read: (key, call) => calls.run(() => store.read(key, call)),
    write: (key, record, expected, call) => calls.run(() => store.write(key, record, expected, call)),
    touch: (key, times, expected, call) => calls.run(() => store.touch(key, times, expected, call)),
    destroy: (key, call) => calls.run(() => store.destroy(key, call)),
    close: () => calls.close(() => store.close()),
  }
  const { sweep, keys } = store
  if (sweep) methods.sweep = call => calls.run(() => sweep.call(store, call))
  if (keys) methods.keys = call => listing(calls, keys.call(store, call))
  return { ...store, ...methods }
}

/** Each key is a call of its own: the next one may never be asked for. */
async function* listing(calls: OpenCalls, keys: AsyncIterable<string>): AsyncGenerator<string> {
  const found = keys[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { done, value } = await calls.run(() => found.next())
      if (done) return
      yield value
    }
  } finally {
    await found.return?.()
  }
}
