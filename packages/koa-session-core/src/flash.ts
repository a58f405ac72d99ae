import { warnOnce } from './warn-once.js'

/** Messages for a later request, each delivered once. */
export interface Flash {
  /**
   * Take all messages of earlier requests, oldest first. Awaiting it claims the messages in the store, so of any number of
   * parallel requests one gets them. Resolves to `[]` without a store call if none wait.
   */
  <Message = unknown>(): Promise<Message[]>
  /** Queue `{ type, message }` for a later request. */
  (type: string, message: unknown): void
  /** Queue any value that the codec can store, for a later request. At most 50 wait; beyond that the oldest is dropped. */
  (value: unknown): void
}

/** Kinds of messages that apps ask connect-flash for. */
const kinds = new Set(['info', 'error', 'errors', 'success', 'warning', 'warn', 'danger', 'notice', 'alert', 'message'])

/** The work behind `ctx.flash`, for one request. */
export interface FlashHandle {
  queueFlash(value: unknown): void
  takeFlash(): Promise<unknown[]>
}

export function flashOf(request: FlashHandle): Flash {
  // A rest parameter, because `flash(undefined)` queues and `flash()` takes.
  const flash = (...values: unknown[]): unknown => {
    if (values.length === 0) return request.takeFlash()
    const [first, second] = values
    if (values.length > 2) {
      throw new TypeError(
        `ctx.flash takes a value, or a type and a message, got ${values.length} arguments; format the message yourself`,
      )
    }
    if (values.length === 1 && typeof first === 'string' && kinds.has(first)) {
      warnOnce(
        'KOA_SESSION_FLASH',
        `ctx.flash('${first}') queues the text '${first}'; to read messages of that type: (await ctx.flash()).filter(({ type }) => type === '${first}')`,
      )
    }
    request.queueFlash(values.length === 1 ? first : { type: first, message: second })
    return undefined
  }
  return flash as Flash
}

/**
 * The promise that `ctx.flash()` returns. It claims the messages when it is awaited: a forgotten `await` loses none, and
 * rendering the promise itself is an error.
 */
export class FlashMessages implements Promise<unknown[]> {
  readonly #claim: () => Promise<unknown[]>
  #claimed: Promise<unknown[]> | undefined

  constructor(claim: () => Promise<unknown[]>) {
    this.#claim = claim
  }

  then<R = unknown[], E = never>(
    onFulfilled?: ((messages: unknown[]) => R | PromiseLike<R>) | null,
    onRejected?: ((reason: unknown) => E | PromiseLike<E>) | null,
  ): Promise<R | E> {
    this.#claimed ??= this.#claim()
    return this.#claimed.then(onFulfilled, onRejected)
  }

  catch<E = never>(onRejected?: ((reason: unknown) => E | PromiseLike<E>) | null): Promise<unknown[] | E> {
    return this.then(null, onRejected)
  }

  finally(onFinally?: (() => void) | null): Promise<unknown[]> {
    return this.then().finally(onFinally)
  }

  get [Symbol.toStringTag](): string {
    return 'Promise'
  }

  get length(): never {
    return notAwaited()
  }

  [Symbol.iterator](): never {
    return notAwaited()
  }

  toJSON(): never {
    return notAwaited()
  }

  toString(): never {
    return notAwaited()
  }
}

for (const name of ['at', 'filter', 'find', 'forEach', 'join', 'map', 'slice', 'some']) {
  Object.defineProperty(FlashMessages.prototype, name, { value: notAwaited, writable: true, configurable: true })
}

function notAwaited(): never {
  throw new TypeError('ctx.flash() returns a promise: await ctx.flash()')
}
