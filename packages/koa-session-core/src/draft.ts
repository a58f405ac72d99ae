import { remember, transplant } from './bag.js'
import { DataText } from './data.js'
import type { SessionError } from './errors.js'
import { joined, type Queued, recent } from './flash-queue.js'
import type { Data, GuardedCodec } from './guarded-codec.js'
import { newId } from './id.js'
import {
  expiry,
  isLive,
  isOver,
  type Live,
  live,
  type MaxAge,
  type RecordSettings,
  type State,
  type Stored,
  type Tombstone,
} from './record.js'
import { put, type SessionData } from './session.js'
import { turn } from './turn.js'

export interface DraftSettings extends RecordSettings {
  readonly codec: GuardedCodec
  /** The key of the session with that id. */
  readonly keyOf: (id: string) => string
  readonly maxAge: MaxAge
  /** SHA-256 of the subject. */
  readonly subjectOf: ((data: SessionData) => string | undefined) | undefined
}

/** A session as its request changed it, at one moment and on top of one stored state. */
export interface View {
  readonly data: DataText
  /** Whether a commit has something to store. */
  readonly dirty: boolean
  readonly subject: string | undefined
  /** Whether the request made it somebody else's session. */
  readonly moved: boolean
  /** The keys that this request changed, on top of a state that the user's object does not show yet. */
  readonly mine: readonly string[] | undefined
}

/** The fate of the session whose place this one took. */
export interface Before {
  /** The session itself, if this request has left it. */
  readonly draft?: Draft
  /** By `regenerate`, not by `destroy` or `null`. */
  readonly regenerated: boolean
  /** Whether this request destroyed it, rather than another one. */
  readonly ended: boolean
  /** The tombstone in its place: of this request, or of another login. */
  readonly tombstone: Tombstone | undefined
}

/** Where the stored session is: `state` is what the request knows to be there. */
export interface Place {
  readonly key: string
  readonly state: State
}

/** How a request stands to the stored session. */
export type Standing =
  | { readonly kind: 'new' }
  | { readonly kind: 'stored' }
  /** It ended, or moved on, under another request. Changes are dropped. */
  | ({ readonly kind: 'gone' } & Place)
  /** It could not be read. */
  | { readonly kind: 'unread'; readonly key: string; readonly error: SessionError }
  /** This request ended it. `at`: where it went before. */
  | { readonly kind: 'left'; readonly at: Place | undefined }

const asNew: Standing = { kind: 'new' }
const asStored: Standing = { kind: 'stored' }

/** A state that has been stored. */
export interface Written {
  readonly next: Live
  /** The flash messages that were stored with it. */
  readonly queued: readonly Queued[]
  /** Its data, if the user's object had the same. */
  readonly data: DataText | undefined
  /** The keys that this request changed, if the user's object does not show the changes of others yet. */
  readonly mine: readonly string[] | undefined
}

/** One session as one request works on it: the known stored state and the changes of the request. */
export class Draft {
  readonly #settings: DraftSettings
  #id: string | undefined
  #key: string | undefined
  #known: Live | null
  /** The data of `#known`, and the copy of it that the app works on. */
  #text: DataText | undefined
  standing: Standing
  /** The user's object, once opened. */
  bag: object | undefined
  createdAt: number
  /** Set by the app and not yet stored. */
  newMaxAge: MaxAge | undefined
  /** Flash messages that are not yet stored. */
  queued: Queued[] = []
  /** The id was made by this request, so no other request can know it. */
  fresh: boolean
  /** Never rejects. Set while an operation of the request creates the session. */
  creating: Promise<void> | undefined
  /** Set if this session replaced another one, once that is destroyed. */
  before: Before | undefined
  /** `createdAt` comes from a clock that was ahead. */
  isMisdated = false
  /** The turn of the event loop in which the store last confirmed that the session is live. */
  provenIn = -1
  readonly #first: Live | null

  /** `now` in epoch milliseconds: when a new session is created. */
  constructor(settings: DraftSettings, id?: string, known: Live | null = null, now = Date.now()) {
    this.#settings = settings
    this.#id = id
    this.#key = known?.key
    this.#known = this.#first = known
    this.standing = known ? asStored : asNew
    this.createdAt = known?.createdAt ?? now
    this.fresh = !known
  }

  /** The newest stored state that this request knows. Differences from it are the request's changes. */
  get known(): Live | null {
    return this.#known
  }

  get isLeft(): boolean {
    return this.standing.kind === 'left'
  }

  get isGone(): boolean {
    return this.standing.kind === 'gone'
  }

  /** The session ended, or moved on, under another request. */
  lose(key: string, state: State): void {
    this.standing = this.isLeft ? { kind: 'left', at: { key, state } } : { kind: 'gone', key, state }
  }

  /** This request ends the session. */
  leave(): void {
    const { standing } = this
    if (standing.kind === 'gone') this.standing = { kind: 'left', at: standing }
    else if (standing.kind === 'unread') this.standing = { kind: 'left', at: { key: standing.key, state: undefined } }
    else if (standing.kind !== 'left') this.standing = { kind: 'left', at: undefined }
  }

  #know(state: Live, data?: DataText): void {
    this.#known = state
    if (data) this.#text = data
    // A touch moves the times only: the app's copy still belongs to the same text.
    else if (this.#text && this.#text.text !== state.texts().data) this.#text = undefined
    if (this.standing === asNew) this.standing = asStored
  }

  get id(): string {
    return (this.#id ??= newId())
  }

  get key(): string {
    return (this.#key ??= this.#settings.keyOf(this.id))
  }

  get maxAge(): MaxAge {
    return this.newMaxAge ?? this.known?.maxAge ?? this.#settings.maxAge
  }

  get expiresAt(): number {
    if (this.known && this.newMaxAge === undefined) return this.known.record.expiresAt
    const now = Date.now()
    return expiry(this.#settings, now, this.#start(now, this.createdAt, this.maxAge), this.maxAge)
  }

  /** Restart the term of a session that would be over by its new `maxAge`, or before it was ever stored. */
  #start(now: number, createdAt: number, maxAge: MaxAge): number {
    return isOver(this.#settings, now, createdAt, maxAge) ? now : createdAt
  }

  /** Continue under another id. */
  moveTo(id: string): void {
    this.#id = id
    this.#key = this.#settings.keyOf(id)
    this.fresh = true
  }

  /** Decode the stored data for the app to work on. Throws ERR_SESSION_DECODE. */
  decode(): Data {
    return this.#base.open()
  }

  get #base(): DataText {
    return (this.#text ??= this.#newText(this.#known))
  }

  #textOf(state: Live | null): DataText {
    return state === this.#known ? this.#base : this.#newText(state)
  }

  #newText(state: Live | null): DataText {
    const { codec } = this.#settings
    return new DataText(codec, state ? state.texts().data : codec.empty)
  }

  /** Whether a commit has nothing to look at: the app neither opened the session nor queued a message. */
  get untouched(): boolean {
    return !this.bag && this.queued.length === 0 && !this.isMisdated
  }

  /**
   * The request's changes on top of `now`: per top-level key, what this request changed, and what others
   * stored. Never a deep merge. `isShown`: the user's object has what others stored already.
   */
  view(now = this.known, isShown = now === this.known): View {
    const { subjectOf } = this.#settings
    const theirs = this.#textOf(now)
    const mine = this.bag && !isShown ? this.#base.changes(this.bag) : undefined
    const data = this.bag ? this.#merged(this.bag, theirs, mine) : theirs
    const changed = data !== theirs
    const dirty =
      this.queued.length > 0 ||
      this.isMisdated ||
      (now ? changed || this.#maxAgeOn(now) !== now.maxAge : !isEmpty(this.bag))
    const isRead = now ? changed : this.bag !== undefined
    if (!subjectOf || !isRead) return { data, dirty, subject: now?.record.subject, moved: false, mine }
    const subject = subjectOf(isShown ? (this.bag as SessionData) : (data.copy() as SessionData))
    return { data, dirty, subject, moved: subject !== subjectOf(theirs.copy() as SessionData), mine }
  }

  #merged(bag: object, theirs: DataText, mine: readonly string[] | undefined): DataText {
    return mine ? this.#base.merge(mine, bag, theirs) : theirs.next(bag)
  }

  #maxAgeOn(now: Live | null): MaxAge {
    return this.newMaxAge ?? now?.maxAge ?? this.#settings.maxAge
  }

  /** Whether there is something a commit would store. */
  dirty(): boolean {
    return !this.untouched && this.view().dirty
  }

  /** Whether this request signed somebody in, as a subject that its session did not have before. */
  authenticates({ moved, subject } = this.view()): boolean {
    return moved && subject !== undefined && !this.had(subject)
  }

  had(subject: string | undefined): boolean {
    if (subject === undefined) return false
    const before = this.before?.draft
    if (before?.had(subject)) return true
    return this.#subjectOf(this.#first) === subject || this.#subjectOf(this.known) === subject
  }

  /** Whether the session had a subject when this request read it. */
  get hadSubject(): boolean {
    return this.#subjectOf(this.#first) !== undefined || this.before?.draft?.hadSubject === true
  }

  /** The session that this request has read. */
  get origin(): { readonly key: string; readonly createdAt: number } {
    let draft: Draft = this
    while (draft.before?.draft) draft = draft.before.draft
    return { key: draft.key, createdAt: draft.known?.createdAt ?? 0 }
  }

  #subjectOf(state: Live | null): string | undefined {
    try {
      return state ? this.#settings.subjectOf?.(this.#textOf(state).copy() as SessionData) : undefined
    } catch {
      // It cannot be decoded, so the request has not seen it either.
      return undefined
    }
  }

  /** The next state: `now` with the changes of this request. */
  compose(key: string, view: View, now = this.known): Live {
    const { codec, subjectOf } = this.#settings
    const texts = now?.texts() ?? { flash: '', taken: '', data: '' }
    const maxAge = this.#maxAgeOn(now)
    const time = Date.now()
    const createdAt = now && view.moved ? time : (now?.createdAt ?? this.createdAt)
    return live(this.#settings, {
      key,
      createdAt: this.#start(time, createdAt, maxAge),
      maxAge,
      data: view.data.text,
      flash: joined(codec, texts, this.queued),
      taken: recent(texts.taken),
      subject: subjectOf && view.subject,
      isCopy: now !== null && now.key !== key && !view.moved,
    })
  }

  /** The newest state may be one that others wrote since. */
  settle({ next, queued, data, mine }: Written, newest: Stored | null): void {
    // The app may have changed its own keys back since.
    if (mine) this.show(next, mine)
    this.#know(next, data)
    this.createdAt = next.createdAt
    if (this.newMaxAge === next.maxAge) this.newMaxAge = undefined
    this.queued = this.queued.filter(one => !queued.includes(one))
    this.isMisdated = false
    this.provenIn = turn()
    if (newest === next) return
    if (isLive(newest)) this.adopt(newest)
    else this.lose(this.key, newest)
  }

  /** Take over a newer stored state: show the changes of others, and keep those of this request. */
  adopt(next: Live): void {
    this.show(next)
    this.#know(next)
  }

  /** The store has just had this state. */
  meet(state: Live): void {
    if (state !== this.known) this.adopt(state)
    this.provenIn = turn()
  }

  /** Give the user's object the changes of others. Other values keep their identity. Returns a function that reverts it. */
  show(next: Live | null, mine: readonly string[] = []): () => void {
    if (!this.bag || next?.texts().data === this.known?.texts().data) return () => {}
    const { codec } = this.#settings
    const { bag } = this
    const base = this.#base
    const theirs = this.#textOf(next)
    const shown = transplant(codec, bag, base, theirs, { except: mine })
    // Another request may have made the same change as this one, which is not to be reverted.
    return () => void transplant(codec, bag, theirs, base, { among: shown })
  }

  /**
   * Run `change` on the user's object. Returns a function that reverts it, skipping keys the app has changed again: the values are
   * the same objects as before, and messages that `change` queued are queued no more.
   */
  apply(change: (data: SessionData) => unknown): () => void {
    const bag = this.bag as object
    const { codec } = this.#settings
    const before = this.#base.next(bag)
    const takeBack = remember(codec, bag)
    const { length } = this.queued
    try {
      const result = change(bag as SessionData)
      if (typeof (result as PromiseLike<unknown> | undefined)?.then === 'function') {
        Promise.resolve(result).catch(() => {})
        throw new TypeError('update(fn): fn must be synchronous, but it returned a promise')
      }
      const after = this.#base.next(bag)
      const queued = this.queued.slice(length)
      return () => {
        const [now, was] = [after.copy(), before.copy()]
        const names = codec.differences(now, was).filter(name => codec.part(bag, name) === codec.part(now, name))
        takeBack(names, was)
        if (queued.length > 0) this.queued = this.queued.filter(one => !queued.includes(one))
      }
    } catch (error) {
      const was = before.copy()
      takeBack(new Set([...Object.keys(bag), ...Object.keys(was)]), was)
      this.queued.length = length
      throw error
    }
  }

  /** Become a new session with only the values that this request set: the old session is gone, and somebody signed in. */
  startOver(): void {
    const bag = this.bag as object
    const mine = new Set(this.#base.changes(bag))
    for (const name of Object.keys(bag)) if (!mine.has(name)) put(bag, name, {})
    this.moveTo(newId())
    this.#known = null
    this.#text = undefined
    this.standing = asNew
    this.createdAt = Date.now()
  }
}

const isEmpty = (bag: object | undefined): boolean => !bag || Object.keys(bag).length === 0
