import type { SessionError } from './errors.js'
import { joined } from './flash.js'
import type { Data } from './guarded-codec.js'
import { newId } from './id.js'
import type { State } from './ledger.js'
import { checkMaxAge } from './options.js'
import { expiry, type Live, live, type MaxAge } from './record.js'
import type { Runtime } from './runtime.js'
import { put, type SessionBag, type SessionData } from './session.js'
import type { Visit } from './visit.js'

/** What a request made of its session at one moment. */
export interface View {
  /** The data as the codec's text. */
  readonly data: string
  /** Whether there is something a commit would store. */
  readonly dirty: boolean
  readonly subject: string | undefined
  /** Whether the request made it somebody else's session. */
  readonly moved: boolean
}

/** One session as one request works on it: what is known to be stored, and what the request made of it. */
export class Entry {
  readonly visit: Visit
  readonly #runtime: Runtime
  #id: string | undefined
  #key: string | undefined

  /** The newest stored state this request knows. What the request changed is what differs from it. */
  known: Live | null
  /** The user's object, once opened. */
  bag: SessionBag | undefined
  createdAt: number
  /** Set by the app and not yet stored. */
  newMaxAge: MaxAge | undefined
  /** Encoded flash messages that are not yet stored. */
  queued: string[] = []
  /** The id was made by this request, so nobody else can know it. */
  fresh: boolean
  /** The session ended or moved on under another request: what is stored there now. Changes are dropped. */
  lost: { readonly key: string; readonly state: State } | undefined
  /** The session could not be read, and `storeFailure` is `'anonymous'`. */
  failure: { readonly key: string; readonly error: SessionError } | undefined
  /** Ended or replaced by this request. */
  over = false

  constructor(visit: Visit, stored?: { id: string; key: string; known: Live }) {
    this.visit = visit
    this.#runtime = visit.runtime
    this.#id = stored?.id
    this.#key = stored?.key
    this.known = stored?.known ?? null
    this.createdAt = stored?.known.createdAt ?? Date.now()
    this.fresh = !stored
  }

  get id(): string {
    return (this.#id ??= newId())
  }

  get key(): string {
    return (this.#key ??= this.#runtime.options.transport.keyOf(this.id))
  }

  get maxAge(): MaxAge {
    return this.newMaxAge ?? this.known?.maxAge ?? this.#runtime.options.maxAge
  }

  setMaxAge(value: MaxAge): void {
    checkMaxAge('session.maxAge', value)
    this.newMaxAge = value
  }

  get expiresAt(): number {
    if (this.known && this.newMaxAge === undefined) return this.known.record.expiresAt
    return expiry(this.#runtime.options, Date.now(), this.createdAt, this.maxAge)
  }

  /** Go on under another id. */
  moveTo(id: string): void {
    this.#id = id
    this.#key = this.#runtime.options.transport.keyOf(id)
    this.fresh = true
  }

  #base(): Data {
    return this.known ? this.#runtime.codec.decodeData(this.known.texts().data) : {}
  }

  /** Whether a commit has nothing to look at: the app neither opened the session nor queued a message. */
  get untouched(): boolean {
    return !this.bag && this.queued.length === 0
  }

  /** What the request made of the session, as of now. */
  view(): View {
    const { codec, options } = this.#runtime
    const base = this.known?.texts().data
    const data = this.bag ? codec.encodeData(this.bag) : (base ?? codec.encodeData({}))
    const changed = this.bag !== undefined && this.#differs(data, base)
    const dirty =
      this.queued.length > 0 || (this.known ? changed || this.maxAge !== this.known.maxAge : !isEmpty(this.bag))
    if (!options.subjectOf || !changed) return { data, dirty, subject: this.known?.record.subject, moved: false }
    const subject = options.subjectOf(this.bag as SessionData)
    return { data, dirty, subject, moved: subject !== options.subjectOf(this.#base() as SessionData) }
  }

  #differs(data: string, base: string | undefined): boolean {
    if (data === base) return false
    // Keys in another order make another text of the same length, and no other session.
    if (data.length !== base?.length) return true
    return this.#runtime.codec.differences(this.#base(), this.bag as SessionBag).length > 0
  }

  /** Whether there is something a commit would store. */
  dirty(): boolean {
    return !this.untouched && this.view().dirty
  }

  /** Whether this request signed somebody in. */
  authenticates(): boolean {
    const { moved, subject } = this.view()
    return moved && subject !== undefined
  }

  /** The next state: what is known, and what this request changed. */
  compose(key: string, view: View): Live {
    const { codec, options } = this.#runtime
    const flash = this.known?.texts().flash ?? ''
    return live(options, {
      key,
      createdAt: this.known && view.moved ? Date.now() : this.createdAt,
      maxAge: this.maxAge,
      data: view.data,
      flash: this.queued.length > 0 ? joined(codec, flash, this.queued) : flash,
      subject: options.subjectOf && view.subject,
    })
  }

  /**
   * Take over a newer stored state: per top-level key, show what others changed and keep what this request changed. Never
   * a deep merge. Values that nobody else changed keep their identity.
   */
  adopt(next: Live): void {
    const { codec } = this.#runtime
    if (this.bag && this.known && next.texts().data !== this.known.texts().data) {
      const base = this.#base()
      const theirs = codec.decodeData(next.texts().data)
      this.#transplant(base, theirs)
    }
    this.known = next
  }

  /** Run `change` on the user's object at once. What comes back undoes it, except where the app changed more since. */
  apply(change: (data: SessionData) => unknown): () => void {
    const { codec } = this.#runtime
    const bag = this.visit.open(this)
    const before = codec.decodeData(codec.encodeData(bag))
    try {
      const result = change(bag as SessionData)
      if (typeof (result as PromiseLike<unknown> | undefined)?.then === 'function') {
        Promise.resolve(result).catch(() => {})
        throw new TypeError('update(fn): fn must be synchronous, it returned a promise')
      }
      const after = codec.decodeData(codec.encodeData(bag))
      return () => this.#transplant(after, before)
    } catch (error) {
      for (const name of new Set([...Object.keys(bag), ...Object.keys(before)])) put(bag, name, before)
      throw error
    }
  }

  /** What differs between `from` and `to` and still is as in `from` becomes as in `to`. */
  #transplant(from: object, to: object): void {
    const { codec } = this.#runtime
    const bag = this.bag as SessionBag
    for (const name of codec.differences(from, to)) {
      if (codec.part(bag, name) === codec.part(from, name)) put(bag, name, to)
    }
  }

  /** Become a new session that holds only what this request set: the one it was is gone, and somebody signed in. */
  startOver(): void {
    const { codec } = this.#runtime
    const bag = this.visit.open(this)
    const base = this.#base()
    const mine = new Set(codec.differences(base, bag))
    for (const name of Object.keys(bag)) if (!mine.has(name)) put(bag, name, {})
    this.moveTo(newId())
    this.known = null
    this.lost = undefined
    this.createdAt = Date.now()
  }
}

const isEmpty = (bag: object | undefined): boolean => !bag || Object.keys(bag).length === 0
