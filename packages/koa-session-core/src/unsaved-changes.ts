import type { Draft } from './draft.js'
import { coded } from './errors.js'
import type { GuardedCodec } from './guarded-codec.js'
import { setTimeout } from './waiting.js'

/** How long a change may wait for `save`, in milliseconds. */
const patience = 1_000

/** The numbers of sessions still to compare. Comparing costs as much as a commit, and apps make this mistake early. */
const left = { taken: 100, held: 100 }

/** Whether sessions are still compared that their handlers may hold in a variable. */
export const isWatchingHeld = (): boolean => left.held > 0

/** Runs `last` when the response is out, or given up. */
type WhenOver = (last: () => void) => void

/** Reports, once each, changes that came after the commit and that no `save` kept. */
export class UnsavedChanges {
  readonly #whenOver: WhenOver
  readonly #report: (error: unknown) => void
  #isUnsaved: boolean | undefined
  #isWatched = false

  constructor(whenOver: WhenOver, report: (error: unknown) => void) {
    this.#whenOver = whenOver
    this.#report = report
  }

  /** The app queued a message or replaced the session. */
  expectSave(): void {
    const isFirst = this.#isUnsaved === undefined
    this.#isUnsaved = true
    if (isFirst) this.#whenOver(() => this.#isUnsaved && this.#tell('ctx.flash() or ctx.session = ...'))
  }

  saved(): void {
    if (this.#isUnsaved) this.#isUnsaved = false
  }

  /** The app takes the session, or its handler may still hold it in a variable, and may set a property. */
  watch(draft: Draft, codec: GuardedCodec, by: 'taken' | 'held'): void {
    if (this.#isWatched || left[by] === 0) return
    this.#isWatched = true
    left[by]--
    const before = textOf(draft, codec)
    const compare = () => {
      if (textOf(draft, codec) !== before && !draft.isLeft && !draft.isGone && draft.dirty()) {
        this.#tell('a change of ctx.session')
      }
    }
    this.#whenOver(() => setTimeout(compare, patience).unref())
  }

  #tell(what: string): void {
    const message = `${what} came after the session was committed and was not saved: call await ctx.session.save() after it`
    this.#report(coded(new TypeError(message), 'KOA_SESSION_UNSAVED'))
  }
}

function textOf({ bag }: Draft, codec: GuardedCodec): string | undefined {
  try {
    return bag && codec.encodeData(bag)
  } catch {
    // A commit says what cannot be encoded.
    return undefined
  }
}
