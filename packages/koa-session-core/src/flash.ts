import type { Entry } from './entry.js'
import type { GuardedCodec } from './guarded-codec.js'
import type { Deadline } from './guarded-store.js'
import { isLive } from './ledger.js'
import { type Live, live, undecodable } from './record.js'
import type { Runtime } from './runtime.js'
import type { Visit } from './visit.js'
import { warnOnce } from './warn-once.js'

/** Messages for a later request, each delivered once. */
export interface Flash {
  /**
   * Take everything that earlier requests queued, oldest first. Awaiting it claims the messages in the store, so of any
   * number of parallel requests one gets them. `[]`, without a call of the store, when nothing waits.
   */
  <Message = unknown>(): Promise<Message[]>
  /** Queue `{ type, message }` for a later request. */
  (type: string, message: unknown): void
  /** Queue any value the codec can store for a later request. At most 50 wait; the oldest goes. */
  (value: unknown): void
}

/** The most messages that wait in one session. */
const capacity = 50

/** A message as it waits: which request queued it (a request is never given its own), and its value. */
type Message = readonly [tag: string, value: unknown]

/** What connect-flash calls the kinds of messages it is asked for. */
const kinds = new Set(['info', 'error', 'errors', 'success', 'warning', 'warn', 'danger', 'notice', 'alert', 'message'])

export function flashOf(visit: Visit): Flash {
  // A rest parameter, because `flash(undefined)` queues and `flash()` takes.
  const flash = (...values: unknown[]): unknown => {
    if (values.length === 0) return visit.takeFlash()
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
    visit.queueFlash(values.length === 1 ? first : { type: first, message: second })
    return undefined
  }
  return flash as Flash
}

/**
 * The promise that `ctx.flash()` returns. It claims the messages when it is awaited: a forgotten `await` loses none, and
 * whoever shows the promise itself gets an error.
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

function notAwaited(): never {
  throw new TypeError('ctx.flash() returns a promise: await ctx.flash()')
}

/** Encoded when it is queued: what cannot be stored fails in the line that queues it, and later changes do not count. */
export function encodedMessage(codec: GuardedCodec, tag: string, value: unknown): string {
  return codec.encode([tag, value] satisfies Message)
}

/** The text of a queue with `queued` behind it. */
export function joined(codec: GuardedCodec, queue: string | undefined, queued: readonly string[]): string {
  const all = [...messages(codec, queue), ...queued.map(text => codec.decode(text))]
  return codec.encode(all.slice(-capacity))
}

/** The messages in the text of a queue. Throws ERR_SESSION_DECODE. */
export function messages(codec: GuardedCodec, queue: string | undefined): Message[] {
  if (!queue) return []
  const all = codec.decode(queue)
  if (Array.isArray(all) && all.every(isMessage)) return all
  throw undecodable()
}

const isMessage = (value: unknown): value is Message =>
  Array.isArray(value) && value.length === 2 && typeof value[0] === 'string'

/** The encoded messages of one request that still wait in `state`. */
export function messagesOf(codec: GuardedCodec, tag: string, state: Live): string[] {
  let all: Message[]
  try {
    all = messages(codec, state.texts().flash)
  } catch {
    // The session has ended already, and nothing of this request is in a queue that cannot be decoded.
    return []
  }
  return all.filter(message => message[0] === tag).map(message => codec.encode(message))
}

/** Claim what waits by one conditional write that changes nothing else. */
export async function take(runtime: Runtime, entry: Entry, tag: string, deadline: Deadline): Promise<unknown[]> {
  const { codec, ledger, options } = runtime
  const { key } = entry
  let taken: Message[] = []
  const { state, written } = await ledger.replace(
    key,
    entry.known,
    now => {
      taken = []
      if (!isLive(now) || entry.over || entry.key !== key) return undefined
      const waiting = messages(codec, now.texts().flash)
      taken = waiting.filter(message => message[0] !== tag)
      if (taken.length === 0) return undefined
      const own = waiting.filter(message => message[0] === tag)
      return live(options, {
        key: now.key,
        createdAt: now.createdAt,
        maxAge: now.maxAge,
        subject: now.record.subject,
        data: now.texts().data,
        flash: own.length > 0 ? codec.encode(own) : '',
      })
    },
    deadline,
  )
  if (isLive(state) && entry.key === key && !entry.over) entry.adopt(state)
  if (written) return taken.map(message => message[1])
  return entry.key === key || entry.over ? [] : take(runtime, entry, tag, deadline)
}
