import { fail, ok } from 'node:assert/strict'
import { inspect, types } from 'node:util'
import type { EnumerableStore, Store, StoreCall } from '../store.js'
import type { CaseTime } from './case-time.js'

/** Counts the calls and answers of the stores of one world, which bound the length of a listing and a sweep. */
export interface Tally {
  readonly written: Set<string>
  writes: number
  swept: number
}

const required = ['read', 'write', 'touch', 'destroy', 'close'] as const

const show = (value: unknown): string =>
  types.isNativeError(value)
    ? String(value).slice(0, 200)
    : inspect(value, { depth: 0, maxArrayLength: 3, maxStringLength: 60 }).slice(0, 200)

/**
 * Wraps `store` for the cases: every call ends in time. A result that is no promise or no async iterable, or has more items
 * than possible, is a failure with a message.
 */
export function checkedStore(store: Store, time: CaseTime, tally: Tally): Store {
  if (typeof store !== 'object' || store === null)
    fail(`create gives a store, or a promise of one. It gave ${show(store)}`)
  const members = store as unknown as Record<string, (...args: unknown[]) => unknown>
  for (const method of required) {
    ok(typeof members[method] === 'function', `A store has the methods ${required.join(', ')}. ${method} is missing`)
  }

  const call = (method: string, args: unknown[]): Promise<unknown> => {
    if (method !== 'close') time.check(method)
    let answer: unknown
    try {
      answer = members[method]?.(...args)
    } catch (error) {
      fail(`${method} gives a promise, which rejects when the call fails. It threw ${show(error)}`)
    }
    const isPromise = typeof (answer as PromiseLike<unknown> | undefined)?.then === 'function'
    if (!isPromise) fail(`${method} gives a promise. It gave ${show(answer)}`)
    return time.bound(answer as PromiseLike<unknown>, `A call of ${method}`)
  }

  async function* keys(options?: StoreCall & { readonly subject?: string }): AsyncGenerator<string> {
    time.check('keys')
    let listing: AsyncIterable<string>
    try {
      listing = (store as EnumerableStore).keys(options)
    } catch (error) {
      fail(`keys gives an async iterable, which rejects when the call fails. It threw ${show(error)}`)
    }
    const begin: unknown = listing?.[Symbol.asyncIterator]
    ok(
      typeof begin === 'function',
      `keys gives an async iterable, as an async generator does. It gave ${show(listing)}`,
    )
    const iterator = listing[Symbol.asyncIterator]()
    const leave = async () => void (await iterator.return?.())
    // True if the caller ends the loop, rather than the store or a failure.
    let isLeft = true
    try {
      for (let yielded = 0; ; yielded++) {
        time.check('keys')
        isLeft = false
        const { done, value } = await time.bound(iterator.next(), 'A step of keys')
        if (done === true) return
        const most = tally.written.size
        if (yielded >= most) leave().catch(() => {})
        ok(yielded < most, `keys yields each session once. Of ${most} ever written it has yielded ${yielded + 1}`)
        isLeft = true
        yield value
      }
    } finally {
      if (isLeft) await time.bound(leave(), 'Leaving a loop over keys')
    }
  }

  const has = (method: string) => typeof members[method] === 'function'
  const checked: Record<string, unknown> = {
    name: store.name,
    read: (...args: unknown[]) => attempt(() => call('read', args)),
    write: (...args: unknown[]) =>
      attempt(() => {
        tally.written.add(args[0] as string)
        tally.writes++
        return call('write', args)
      }),
    touch: (...args: unknown[]) => attempt(() => call('touch', args)),
    destroy: (...args: unknown[]) => attempt(() => call('destroy', args)),
    close: () => attempt(() => call('close', [])),
  }
  if (has('sweep')) {
    checked.sweep = async (...args: unknown[]) => {
      const swept = await call('sweep', args)
      ok(
        typeof swept === 'number',
        `sweep resolves to the number of sessions it deleted. It resolved to ${show(swept)}`,
      )
      tally.swept += swept
      const { writes } = tally
      ok(
        tally.swept <= writes,
        `sweep counts each session it deleted once. After ${writes} writes it counts ${tally.swept}`,
      )
      return swept
    }
  }
  if (has('keys')) checked.keys = keys
  return checked as unknown as Store
}

/** Like an async function, but without another turn between the answer of a store and its caller. */
function attempt<T>(run: () => Promise<T>): Promise<T> {
  try {
    return run()
  } catch (error) {
    return Promise.reject(error)
  }
}
