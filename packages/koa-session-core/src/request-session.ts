import type { Client } from './change.js'
import { kindOf } from './check.js'
import { commit, commitAtEnd } from './commit.js'
import type { Deadline } from './deadlines.js'
import { destroy } from './destroy.js'
import { Draft } from './draft.js'
import { type Ending, Endings } from './endings.js'
import type { Engine } from './engine.js'
import { isSessionError, SessionError, undecodable } from './errors.js'
import { type FlashHandle, FlashMessages } from './flash.js'
import { messages, queuedMessage } from './flash-queue.js'
import { isForRoom } from './guarded-store.js'
import { Handle } from './handle.js'
import { newVersion } from './id.js'
import { deliveryOf, IdDelivery } from './id-delivery.js'
import { type KeepAlive, keepAlive } from './keep-alive.js'
import { PendingOperations } from './pending-operations.js'
import type { Live } from './record.js'
import type { Reply } from './reply.js'
import type { Restriction } from './restriction.js'
import {
  assign,
  end,
  fill,
  isData,
  type SaveOptions,
  SessionBag,
  type SessionCallback,
  type SessionData,
} from './session.js'
import { takeFlash } from './take-flash.js'
import { touch } from './touch.js'
import { isWatchingHeld, UnsavedChanges } from './unsaved-changes.js'

export interface RequestOptions {
  readonly storeFailure: 'reject' | 'anonymous'
  /** Milliseconds. */
  readonly touchInterval: number
}

/** The way back to the client of a request. Without one (an upgrade, a script) there is nothing to deliver. */
interface Response {
  readonly reply: Reply
  readonly restriction: Restriction | undefined
}

/** One request with its session, from the stored record to the response. */
export class RequestSession implements Client, FlashHandle {
  readonly #engine: Engine
  readonly #options: RequestOptions
  readonly report: (error: unknown) => void
  readonly #reply: Reply | undefined
  readonly restriction: Restriction | undefined
  readonly #beganAt = Date.now()
  #current: Draft | undefined
  /** The session that the client named, as it was read. */
  #loaded: Live | undefined
  /** The id that the client gets for the credential of another library, as often as it asks. */
  #adopted: string | undefined
  #opened = false
  #finished: boolean
  #keepAlive: KeepAlive | undefined
  #unsaved: UnsavedChanges | undefined
  /** Marks the flash messages that this request queued. */
  #mark: string | undefined
  #queued = 0
  #endings: Endings | undefined
  #pending: PendingOperations | undefined
  hasLeft = false
  hasRegenerated = false
  #delivery: IdDelivery | undefined

  constructor(engine: Engine, options: RequestOptions, report: (error: unknown) => void, response?: Response) {
    this.#engine = engine
    this.#options = options
    this.report = report
    this.#reply = response?.reply
    this.restriction = response?.restriction
    this.#finished = !response
  }

  get draft(): Draft {
    return (this.#current ??= new Draft(this.#engine.options, undefined, null, this.#beganAt))
  }

  /**
   * Work on the stored session that the client named, and keep it alive if that is a request of its user. If it is `adopted`, the
   * client named it by the credential of another library, and has to learn its id.
   */
  resume(id: string, known: Live, adopted?: 'adopted'): void {
    this.#current = new Draft(this.#engine.options, id, known)
    if (adopted) this.#adopted = id
    else this.#loaded = known
    const reply = this.#reply
    if (!reply) return
    if (adopted) reply.deliver(deliveryOf(id, known))
    else reply.clientHas(deliveryOf(id, known))
    const { touchInterval } = this.#options
    const early = this.restriction === 'outside' ? undefined : reply
    this.#keepAlive = keepAlive(this.#engine, touchInterval, this.#current, known, early, this.report)
  }

  /** Note that the session that the client named could not be read. */
  unread(key: string, error: SessionError): void {
    this.draft.standing = { kind: 'unread', key, error }
    if (this.#options.storeFailure === 'anonymous') this.report(error)
  }

  get deliverable(): boolean {
    return this.restriction !== 'outside' && this.#reply?.open === true
  }

  assertDeliverable(): void {
    if (this.deliverable) return
    if (!this.#reply)
      throw new TypeError('a session from open() cannot change its id: there is no response to carry it')
    throw new SessionError(
      'ERR_SESSION_HEADERS_SENT',
      'the id of a new session cannot be delivered: the response headers have been sent, perhaps because an earlier middleware did not await next(), or the request is an upgrade; await ctx.session.save() before the first byte',
    )
  }

  /** The user's object of `draft`. Data that cannot be decoded is reported, and the session is a new one. */
  #open(draft: Draft): SessionBag {
    if (draft.bag) return draft.bag as SessionBag
    const bag = new SessionBag(new Handle(this, draft))
    try {
      if (draft.known) fill(bag, draft.decode())
    } catch (error) {
      this.#abandon(draft, error)
      return this.#open(this.draft)
    }
    draft.bag = bag
    return bag
  }

  /** The same for the waiting messages, which are seldom read and cost decoding. */
  #openQueue(): void {
    this.#open(this.draft)
    const draft = this.draft
    if (!draft.known?.flashWaits) return
    try {
      messages(this.#engine.options.codec, draft.known.texts().flash)
    } catch (error) {
      this.#abandon(draft, error)
    }
  }

  /** Continue with a new session, because the stored one cannot be decoded. */
  #abandon(draft: Draft, error: unknown): void {
    this.report(isSessionError(error) ? error : undecodable())
    draft.leave()
    this.#current = new Draft(this.#engine.options)
    this.#current.queued = draft.queued
  }

  /** Note that the app uses the session. Throws if the session could not be read. */
  #use(): void {
    this.#markOpened()
    const { standing } = this.draft
    if (standing.kind === 'unread' && this.#options.storeFailure === 'reject') throw standing.error
  }

  #markOpened(): void {
    if (this.#opened) return
    this.#opened = true
    this.#reply?.opened()
  }

  get session(): SessionBag {
    this.#use()
    const bag = this.#open(this.draft)
    if (this.#finished) this.#watch('taken')
    return bag
  }

  set session(value: SessionData | null) {
    this.#use()
    if (this.#finished) this.#afterCommit()?.expectSave()
    if (value === null) {
      this.#leave(false)
      return
    }
    if (!isData(value)) {
      const kind =
        typeof value === 'object'
          ? kindOf(value).replace(/^an object$/, '$& with a prototype of its own')
          : typeof value
      throw new TypeError(`ctx.session must be set to a plain object, or to null to end it, got ${kind}`)
    }
    const bag = this.#open(this.draft)
    if (value !== bag) assign(bag, value)
  }

  #afterCommit(): UnsavedChanges | undefined {
    const reply = this.#reply
    if (reply) this.#unsaved ??= new UnsavedChanges(last => reply.whenOver(last), this.report)
    return this.#unsaved
  }

  #watch(by: 'taken' | 'held'): void {
    this.#afterCommit()?.watch(this.draft, this.#engine.options.codec, by)
  }

  get #ownMark(): string {
    return (this.#mark ??= newVersion())
  }

  queueFlash(value: unknown): void {
    this.#use()
    // A session that cannot be decoded gives way to a new one here, not at the commit.
    this.#openQueue()
    const message = queuedMessage(this.#engine.options.codec, `${this.#ownMark}:${++this.#queued}`, value)
    this.draft.queued.push(message)
    if (this.#finished) this.#afterCommit()?.expectSave()
  }

  takeFlash(): Promise<unknown[]> {
    this.#use()
    if (this.draft.known?.flashWaits) this.#openQueue()
    const draft = this.draft
    return new FlashMessages(() => {
      if (!draft.known?.flashWaits || draft.isGone) return Promise.resolve([])
      return this.#operate(() => takeFlash(this.#engine, draft, this.#ownMark, this.#engine.store.deadline()))
    })
  }

  save(draft: Draft, how: SaveOptions, callback?: SessionCallback): Promise<boolean> {
    return this.#operate(async () => {
      const deadline = this.#engine.store.deadline()
      await this.#endings?.carryOutAll(deadline)
      const saved = await commit(this.#engine, draft, { ...how, deadline, client: this })
      this.#deliver()
      if (this.#isLost(draft)) await this.#endLost(draft, deadline)
      return saved
    }, callback)
  }

  touch(draft: Draft): Promise<boolean> {
    return this.#operate(async () => {
      await this.#pending?.settled()
      if (draft.standing.kind === 'unread') throw draft.standing.error
      return touch(this.#engine, draft, this.#engine.store.deadline())
    })
  }

  /** End the session of `draft` and go on with a new one. */
  leave(draft: Draft, isLogin: boolean, callback?: SessionCallback): Promise<void> {
    const isRefused = isLogin && !this.#reply
    const ending = draft.isLeft || isRefused ? undefined : this.#leave(isLogin)
    return this.#operate(async () => {
      if (isRefused) throw new TypeError('a session from open() cannot be regenerated')
      if (ending) await this.#endings?.carryOut(ending, this.#engine.store.deadline())
      if (!isLogin) this.#deliver()
    }, callback)
  }

  #leave(isLogin: boolean): Ending {
    this.#markOpened()
    this.hasLeft = true
    this.hasRegenerated = isLogin
    if (!isLogin && this.#idDelivery) this.#idDelivery.isSignedOut = true
    const old = this.draft
    const next = new Draft(this.#engine.options)
    if (isLogin) next.queued = old.queued
    old.leave()
    if (old.bag) end(old.bag)
    this.#current = next
    this.#endings ??= new Endings(this.#engine, () => this.#ownMark)
    return this.#endings.add({ old, next, isLogin })
  }

  /** Run an operation that the app may or may not await. The request waits for it before the response is sent. */
  #operate<T>(run: () => Promise<T>, callback?: SessionCallback): Promise<T> {
    this.#unsaved?.saved()
    this.#pending ??= new PendingOperations(this.report, this.#finished)
    return this.#pending.start(run, callback)
  }

  /** `undefined`: there is no response. */
  get #idDelivery(): IdDelivery | undefined {
    if (this.#reply) this.#delivery ??= new IdDelivery(this.#engine, this.#reply)
    return this.#delivery
  }

  /** Finish at once if there is nothing to do: the handler never opened the session, and its times are recent. */
  finishIdle(): boolean {
    if (this.#opened || this.#keepAlive || this.#adopted !== undefined) return false
    const draft = this.#current
    this.#finished = !draft || !(draft.isMisdated || draft.standing.kind === 'unread')
    return this.#finished
  }

  /** Finish the request after the handler. `abandon`: the handler failed, so changes that were not awaited are not stored. */
  async finish(abandon: boolean): Promise<unknown> {
    const deadline = this.#engine.store.deadline()
    this.#reportUnread()
    let failure: unknown
    try {
      if (this.#pending) await this.#pending.drained()
      if (this.#endings) await this.#endings.carryOutAll(deadline)
      const committing = abandon
        ? undefined
        : commitAtEnd(this.#engine, this.draft, { deadline, client: this, inTurn: true })
      if (committing) await committing
    } catch (error) {
      if (this.#isFarewell && isForRoom(error)) this.report(error)
      else failure = error ?? new Error('the commit failed')
    }
    if (this.#endings) await this.#endings.leave(this.draft, deadline)
    if (this.#keepAlive) await this.#keepAlive.touching
    const isUnchanged = failure === undefined && this.#isUnchanged
    if (!isUnchanged) await this.#prove(failure !== undefined, deadline)
    this.#finished = true
    if (this.draft.bag && isWatchingHeld()) this.#watch('held')
    this.#keepAlive?.stop?.()
    this.#pending?.finish()
    try {
      if (!isUnchanged) this.#deliver()
      this.#reply?.finish()
    } catch (error) {
      // The app's transport threw. The handler's own error takes precedence.
      failure ??= error
    }
    if (!isUnchanged && this.#isLost(this.draft)) {
      failure = await this.#endLost(this.draft, deadline).catch(error => failure ?? error)
    }
    if (isSessionError(failure) && failure.code === 'ERR_SESSION_HEADERS_SENT') {
      this.report(failure)
      return undefined
    }
    return failure
  }

  /** Whether the client has nothing to learn: it came with this very session. */
  get #isUnchanged(): boolean {
    const draft = this.draft
    return draft.known !== null && draft.known === this.#loaded && !draft.isGone && !this.#keepAlive?.isDue
  }

  /** Whether the headers left while the new id of `draft` was being stored. */
  #isLost(draft: Draft): boolean {
    if (draft.id === this.#adopted) return false
    return draft.known !== null && !draft.isGone && this.#reply?.tells(draft.id) === false && !this.deliverable
  }

  /** Destroy a session whose id cannot be delivered: no client could use it, or end it. Always rejects. */
  async #endLost(draft: Draft, deadline: Deadline): Promise<void> {
    const { key, known } = draft
    await destroy(this.#engine, key, { deadline, known })
    draft.lose(key, null)
    this.assertDeliverable()
  }

  /** Whether only messages after a logout remain to be stored. A full store must not fail such a request. */
  get #isFarewell(): boolean {
    const { known, bag } = this.draft
    return (
      this.#delivery?.isSignedOut === true &&
      this.#endings?.done === true &&
      !known &&
      Object.keys(bag ?? {}).length === 0
    )
  }

  /** Report a failed read even if the handler did not need the session. */
  #reportUnread(): void {
    const { standing } = this.draft
    if (standing.kind !== 'unread' || this.#opened || this.#options.storeFailure !== 'reject') return
    this.report(standing.error)
  }

  async #prove(hasFailed: boolean, deadline: Deadline): Promise<void> {
    const delivery = this.#idDelivery
    if (!delivery) return
    if (hasFailed) {
      delivery.isUnproven = true
      return
    }
    try {
      await delivery.prove(this.draft, this.#endings, this.#keepAlive?.isDue === true, deadline)
    } catch (error) {
      delivery.isUnproven = true
      this.report(error)
    }
  }

  #deliver(): void {
    if (this.restriction !== 'outside') this.#idDelivery?.deliver(this.draft, this.#endings)
  }
}
