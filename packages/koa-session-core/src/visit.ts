import type { Context } from 'koa'
import { commit, type How, take, touch } from './commit.js'
import type { Deadline } from './deadlines.js'
import { type Ending, Endings } from './endings.js'
import { Entry } from './entry.js'
import { isSessionError, SessionError, undecodable } from './errors.js'
import { FlashMessages } from './flash.js'
import { messages, queuedMessage } from './flash-queue.js'
import { newVersion } from './id.js'
import { watchLateChanges } from './late-changes.js'
import { Operation } from './operation.js'
import { expiry, type Live } from './record.js'
import type { Delivery, Reply } from './reply.js'
import { adviceOn, type Restriction } from './restriction.js'
import type { Runtime } from './runtime.js'
import { assign, SessionBag, type SessionCallback, type SessionData } from './session.js'
import { isForRoom } from './stored-sessions.js'
import { turn } from './turn.js'
import { elapsed, setImmediate } from './waiting.js'

/** What a request of Koa brings along. */
interface Response {
  readonly ctx: Context
  readonly reply: Reply
  readonly restriction: Restriction | undefined
}

/** One request with its session, from the cookie to the response. Without a context (an upgrade) there is no response. */
export class Visit {
  readonly runtime: Runtime
  readonly #ctx: Context | undefined
  readonly #reply: Reply | undefined
  /** Marks the flash messages that this request queued. */
  #mark: string | undefined
  #queued = 0
  #endings: Endings | undefined
  /** Operations that have not ended. */
  #pending: Promise<void>[] = []
  /** Failures that are reported unless the handler turns out to have awaited them. */
  readonly #unheard: (() => unknown)[] = []
  #touching: Promise<void> | undefined
  entry: Entry
  #opened = false
  #finished: boolean
  /** Whether this request ended a session. */
  hasLeft = false
  /** Whether it did so by `destroy` or `null`, so that the response clears the cookie whatever others did. */
  #isSignedOut = false
  /** Whether another login took the place of the session that this request regenerated. */
  #isSuperseded = false
  /** The session was not used for a while, and its times move when the handler has ended. */
  #isDue = false
  #stopWatching: (() => void) | undefined
  /** Whether the store failed to tell if the session still lives. */
  #isUnproven = false
  /** Whether `regenerate` did, and nothing after it. */
  #hasRegenerated = false
  readonly restriction: Restriction | undefined

  /** Whether the app changed something after the commit and has not called `save` since. */
  #isUnsaved: boolean | undefined
  #isWatched = false

  /** Whether there is a way to hand out an id: the response, or whoever asked for one. */
  #deliverable: () => boolean

  constructor(runtime: Runtime, response?: Response, deliverable = false) {
    this.runtime = runtime
    this.restriction = response?.restriction
    this.#ctx = response?.ctx
    this.#reply = response?.reply
    this.#deliverable = () => response?.reply.open ?? deliverable
    this.entry = new Entry(this)
    this.#finished = !response
  }

  get opened(): boolean {
    return this.#opened
  }

  set opened(value: true) {
    this.#opened = value
    this.#reply?.opened()
  }

  /** Work on the stored session that the client named. */
  resume(id: string, known: Live): void {
    this.entry = new Entry(this, { id, key: known.key, known })
  }

  /** The session that the client named could not be read. */
  unread(failure: NonNullable<Entry['failure']>): void {
    this.entry.failure = failure
    if (this.runtime.options.storeFailure === 'anonymous') this.report(failure.error)
  }

  get mark(): string {
    return (this.#mark ??= newVersion())
  }

  get deliverable(): boolean {
    return this.restriction !== 'outside' && this.#deliverable()
  }

  /** Whether this request signed somebody in. Without the option `subject` that is what `regenerate` is for. */
  signsIn(entry: Entry): boolean {
    return this.runtime.options.subjectOf ? entry.authenticates() : this.#hasRegenerated
  }

  advise(restriction: Restriction): void {
    const advice = adviceOn(restriction)
    if (advice) this.report(advice)
  }

  assertDeliverable(): void {
    if (this.deliverable) return
    if (!this.#ctx) throw new TypeError('a session from open() cannot change its id: there is no response to carry it')
    throw new SessionError(
      'ERR_SESSION_HEADERS_SENT',
      'the id of a new session cannot be delivered: the headers have been sent, perhaps because an earlier middleware did not await next(), or the request is an upgrade',
    )
  }

  report(error: unknown): void {
    this.runtime.report(error, this.#ctx)
  }

  /** The user's object of `entry`. Data that cannot be decoded is reported, and the session is a new one. */
  open(entry: Entry = this.entry): SessionBag {
    if (entry.bag) return entry.bag
    const { codec } = this.runtime
    const bag = new SessionBag(entry)
    try {
      if (entry.known) assign(bag, codec.decodeData(entry.known.texts().data))
    } catch (error) {
      this.#abandon(entry, error)
      return this.open()
    }
    entry.bag = bag
    return bag
  }

  /** The same for the messages that wait, which cost decoding and are seldom asked for. */
  #openQueue(): void {
    this.open()
    const { entry } = this
    if (!entry.known?.flashWaits) return
    try {
      messages(this.runtime.codec, entry.known.texts().flash)
    } catch (error) {
      this.#abandon(entry, error)
    }
  }

  /** Go on with a new session, because the stored one cannot be decoded. */
  #abandon(entry: Entry, error: unknown): void {
    this.report(isSessionError(error) ? error : undecodable())
    entry.over = true
    this.entry = new Entry(this)
    this.entry.queued = entry.queued
  }

  /** The app uses the session. If it could not be read, the app learns of it here. */
  #use(): void {
    this.opened = true
    const { failure } = this.entry
    if (failure && this.runtime.options.storeFailure === 'reject') throw failure.error
  }

  get session(): SessionBag {
    this.#use()
    const bag = this.open()
    if (this.#finished && this.#reply && !this.#isWatched) {
      this.#isWatched = true
      watchLateChanges(this.entry, this.runtime.codec, this.#reply, () =>
        this.report(unsaved('a change of ctx.session')),
      )
    }
    return bag
  }

  set session(value: SessionData | null) {
    this.#use()
    this.#expectSave()
    if (value === null) {
      this.#leave(false)
      return
    }
    if (typeof value !== 'object' || Array.isArray(value)) {
      const got = Array.isArray(value) ? 'an array' : typeof value
      throw new TypeError(`ctx.session must be set to an object, or to null to end it, got ${got}`)
    }
    const bag = this.open()
    if (value !== bag) assign(bag, value)
  }

  queueFlash(value: unknown): void {
    this.#use()
    // A session that cannot be decoded gives way to a new one here, not at the commit.
    this.#openQueue()
    this.entry.queued.push(queuedMessage(this.runtime.codec, `${this.mark}:${++this.#queued}`, value))
    this.#expectSave()
  }

  takeFlash(): Promise<unknown[]> {
    this.#use()
    if (this.entry.known?.flashWaits) this.#openQueue()
    const { entry } = this
    return new FlashMessages(() => {
      if (!entry.known?.flashWaits || entry.lost) return Promise.resolve([])
      return this.#operate(() => take(this.runtime, entry, this.mark, this.runtime.store.deadline()))
    })
  }

  /** After the commit a change is kept by `save` only. Say so once, if there was none when the response is out. */
  #expectSave(): void {
    if (!this.#finished || !this.#reply) return
    const isFirst = this.#isUnsaved === undefined
    this.#isUnsaved = true
    if (isFirst) this.#reply.whenOver(() => this.#isUnsaved && this.report(unsaved('ctx.flash() or ctx.session = ...')))
  }

  save(entry: Entry, how: Omit<How, 'deadline'>, callback?: SessionCallback): Promise<boolean> {
    return this.#operate(async () => {
      const deadline = this.runtime.store.deadline()
      await this.#endings?.carryOutAll(deadline)
      const saved = await commit(this.runtime, entry, { ...how, deadline })
      this.#deliver()
      if (this.#isUndelivered(entry)) await this.#endUndelivered(entry, deadline)
      return saved
    }, callback)
  }

  /** Use the session now, as a request would. */
  use(entry: Entry): Promise<boolean> {
    return this.#operate(async () => {
      await Promise.all(this.#pending)
      if (entry.failure) throw entry.failure.error
      return touch(this.runtime, entry, this.runtime.store.deadline())
    })
  }

  /** End the session of `entry` and go on with a new one. */
  leave(entry: Entry, login: boolean, callback?: SessionCallback): Promise<void> {
    const refused = login && !this.#ctx
    const ending = entry.over || refused ? undefined : this.#leave(login)
    return this.#operate(async () => {
      if (refused) throw new TypeError('a session from open() cannot be regenerated')
      if (ending) await this.#endings?.carryOut(ending, this.runtime.store.deadline())
      if (!login) this.#deliver()
    }, callback)
  }

  #leave(login: boolean): Ending {
    this.opened = true
    this.hasLeft = true
    this.#hasRegenerated = login
    if (!login) this.#isSignedOut = true
    const old = this.entry
    const next = new Entry(this)
    if (login) next.queued = old.queued
    old.over = true
    if (old.bag) Object.freeze(old.bag)
    this.entry = next
    this.#endings ??= new Endings(this.runtime)
    return this.#endings.add({ old, next, login })
  }

  /** Run an operation the app may or may not await. Until the response is out, it is waited for. */
  #operate<T>(run: () => Promise<T>, callback?: SessionCallback): Promise<T> {
    if (this.#isUnsaved) this.#isUnsaved = false
    const operation = new Operation<T>(run, callback)
    const settled = operation.settled.then(error => {
      if (error === undefined) return
      if (this.#finished) setImmediate(() => operation.awaited || this.report(error))
      else this.#unheard.push(() => operation.awaited || this.report(error))
    })
    if (!this.#finished) this.#pending.push(settled)
    return operation
  }

  /** Finish, if there is nothing to do: the handler never opened the session, and its times are fresh. */
  finishIdle(): boolean {
    const { failure, isMisdated } = this.entry
    this.#finished = !this.opened && !this.#touching && !this.#isDue && !isMisdated && !failure
    return this.#finished
  }

  /** Everything that is left when the handler has ended. `abandon`: it failed, so what was not awaited is not stored. */
  async finish(abandon: boolean): Promise<unknown> {
    const deadline = this.runtime.store.deadline()
    this.#reportUnread()
    let failure: unknown
    try {
      while (this.#pending.length > 0) await this.#pending.pop()
      await this.#endings?.carryOutAll(deadline)
      if (!abandon) await commit(this.runtime, this.entry, { deadline })
    } catch (error) {
      if (this.#isFarewell && isForRoom(error)) this.report(error)
      else failure = error ?? new Error('the commit failed')
    }
    await this.#endings?.leave(this.entry, deadline)
    await this.#touching
    if (failure === undefined) await this.#prove(deadline)
    else this.#isUnproven = true
    this.#finished = true
    this.#stopWatching?.()
    for (const judge of this.#unheard) judge()
    try {
      this.#deliver()
      this.#reply?.finish()
    } catch (error) {
      // A transport of the app threw. What the handler threw comes first.
      failure ??= error
    }
    if (this.#isUndelivered(this.entry)) {
      failure = await this.#endUndelivered(this.entry, deadline).catch(error => failure ?? error)
    }
    if (isSessionError(failure) && failure.code === 'ERR_SESSION_HEADERS_SENT') {
      this.report(failure)
      return undefined
    }
    return failure
  }

  /** Whether the headers left while the new id of `entry` was being stored. */
  #isUndelivered(entry: Entry): boolean {
    return entry.known !== null && !entry.lost && this.#reply?.tells(entry.id) === false && !this.deliverable
  }

  /** Nobody can use such a session, and nobody could end it. Always rejects. */
  async #endUndelivered(entry: Entry, deadline: Deadline): Promise<void> {
    const { key, known } = entry
    await this.runtime.sessions.end(key, known, deadline)
    entry.lost = { key, state: null }
    this.assertDeliverable()
  }

  /** Whether all that is left to store are messages for somebody who has signed out. In a full store that must not fail. */
  get #isFarewell(): boolean {
    const { known, bag } = this.entry
    return this.#isSignedOut && this.#endings?.done === true && !known && Object.keys(bag ?? {}).length === 0
  }

  /** A read that failed is reported even if the handler did not need it. */
  #reportUnread(): void {
    const { failure } = this.entry
    if (failure && !this.opened && this.runtime.options.storeFailure === 'reject') this.report(failure.error)
  }

  /** Keep the session alive if it was not used for a while: beside the handler, unless the cookie's term moves with it. */
  keepAlive({ createdAt, maxAge, record, key }: Live): void {
    const { options, store } = this.runtime
    const now = Date.now()
    const interval = maxAge === 'session' ? options.touchInterval : Math.min(options.touchInterval, maxAge / 10)
    // A clock may have been wrong before, in either direction.
    const expiresAt = expiry(options, now, createdAt, maxAge)
    if (Math.abs(now - record.seenAt) <= interval && record.expiresAt <= expiresAt + interval) return
    const { entry } = this
    if (createdAt > now + interval) entry.isMisdated = true
    else if (maxAge !== 'session') this.#renewLater(key)
    else {
      const times = { seenAt: now, expiresAt }
      const moved = (done: boolean) => {
        if (done && entry.known?.record.version === record.version) {
          entry.known = { ...entry.known, record: { ...entry.known.record, ...times } }
        }
      }
      this.#touching = store.touch(key, times, record.version).then(moved, error => this.report(error))
    }
  }

  /**
   * The times of a persistent session move at the end, and its cookie with them. If the app writes the response itself before
   * that, the cookie is renewed by what is known then: the store had the session a moment ago, and nothing in this process
   * has ended it or changed its id since.
   */
  #renewLater(key: string): void {
    this.#isDue = true
    const readAt = elapsed()
    let isOver = false
    this.#stopWatching = this.runtime.sessions.watch(key, () => {
      isOver = true
    })
    this.#reply?.ifEarly(() => {
      const { entry, restriction, runtime } = this
      const { known } = entry
      if (isOver || !known || entry.lost || entry.key !== key || restriction === 'outside') return
      if (elapsed() - readAt > certainFor && entry.provenIn !== turn()) return
      const { createdAt, maxAge } = known
      const expiresAt = expiry(runtime.options, Date.now(), createdAt, maxAge)
      try {
        this.#reply?.deliver({ id: entry.id, maxAge, expiresAt })
      } catch (error) {
        this.report(error)
      }
    })
  }

  /**
   * Ask the store, unless it has just said so, whether what the response would say still holds: a late answer must not bring
   * back an id that another request superseded meanwhile, nor clear the one it signed in with.
   */
  async #prove(deadline: Deadline): Promise<void> {
    const { entry } = this
    const { known } = entry
    try {
      if (known && !entry.lost) {
        const isTold = this.#reply?.differs(delivery(entry.id, known))
        if ((isTold || this.#isDue) && entry.provenIn !== turn()) await touch(this.runtime, entry, deadline)
      } else if (this.#mayClear && !this.#isSignedOut && entry.provenIn !== turn()) {
        const { tombstone } = entry.before ?? {}
        const found = tombstone && (await this.runtime.store.read(tombstone.key, deadline))
        this.#isSuperseded = found?.kind === 'tombstone' && found.successor !== tombstone?.successor
      }
    } catch (error) {
      this.#isUnproven = true
      this.report(error)
    }
  }

  /** Whether the response may clear the cookie. While an ended session may still live, its client can try again. */
  get #mayClear(): boolean {
    if (!this.#endings?.done) return false
    const { before, lost } = this.entry
    return this.#isSignedOut || (!lost && !this.#isSuperseded && before?.ended !== false)
  }

  #deliver(): void {
    const reply = this.#reply
    if (!reply || this.restriction === 'outside') return
    const { entry } = this
    const { known } = entry
    if (known && !entry.lost) {
      // The client keeps an id whose term may not have moved. One that it does not know yet it would lose.
      if (!this.#isUnproven || !reply.isOf(entry.id)) reply.deliver(delivery(entry.id, known))
      else reply.withdraw()
    } else if (this.#mayClear) reply.deliver(null)
    else reply.withdraw()
  }
}

/** For how many milliseconds a session that was read is taken to live, where nothing can be asked. */
const certainFor = 3_000

function unsaved(what: string): Error {
  const message = `${what} came after the session was committed, and nothing saved it: await ctx.session.save() there`
  return Object.assign(new TypeError(message), { code: 'KOA_SESSION_UNSAVED' })
}

const delivery = (id: string, { maxAge, record }: Live): Delivery => ({ id, maxAge, expiresAt: record.expiresAt })
