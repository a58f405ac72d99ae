import type { Draft } from './draft.js'
import type { GuardedCodec } from './guarded-codec.js'
import { setTimeout } from './waiting.js'

/** How long a change may wait for `save`, in milliseconds. */
const patience = 1_000

/** The number of sessions still to compare. Comparing costs as much as a commit, and apps make this mistake early. */
let left = 100

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

  /** The app takes the session, and may set a property. */
  watch(draft: Draft, codec: GuardedCodec): void {
    if (this.#isWatched || left === 0) return
    this.#isWatched = true
    left--
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
    this.#report(Object.assign(new TypeError(message), { code: 'KOA_SESSION_UNSAVED' }))
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
