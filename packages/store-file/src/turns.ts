import type { StoreCall } from 'koa-session-core'
import { throwIfAborted, untilAborted } from 'koa-session-core/store'

/**
 * Runs work on the same key one after the other within this process. The file system handles other processes; this only
 * saves the disk races that are known to be lost. A caller whose call is aborted rejects at once, and work that has not begun
 * then never begins.
 */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  take<T>(key: string, call: StoreCall | undefined, work: () => Promise<T>): Promise<T> {
    return untilAborted(call, () => {
      const before = this.#last.get(key)
      const start = (): Promise<T> => {
        throwIfAborted(call)
        return work()
      }
      const mine = before === undefined ? work() : before.then(start)
      const end = (): void => {
        if (this.#last.get(key) === ended) this.#last.delete(key)
      }
      const ended = mine.then(end, end)
      this.#last.set(key, ended)
      return mine
    })
  }
}
