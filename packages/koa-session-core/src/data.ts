import { type Changes, Given } from './given.js'
import { type Data, type GuardedCodec, shallowCopy } from './guarded-codec.js'

/**
 * The data of a session as text, and the copy of it that the app works on. The app changed what differs between the two, by
 * top-level keys. Belongs to one request, because it remembers one copy.
 *
 * Plain JSON is decoded once, and compared by looking at the objects of the copy. Other texts are compared as texts.
 */
export class DataText {
  readonly text: string
  readonly #codec: GuardedCodec
  #given: Given | undefined

  constructor(codec: GuardedCodec, text: string) {
    this.#codec = codec
    this.text = text
  }

  /** The data for the app to work on. Throws ERR_SESSION_DECODE. */
  open(): Data {
    const data = this.copy()
    this.#given = this.#codec.isJson(this.text) ? Given.of(data) : undefined
    return data
  }

  /** `bag`, of which this is the text, is the copy that the app goes on with. */
  follow(bag: object): this {
    if (this.#codec.isJson(this.text)) this.#given = Given.of(shallowCopy(bag))
    return this
  }

  /** The data for any other use. Throws ERR_SESSION_DECODE. */
  copy(): Data {
    return this.#codec.decodeData(this.text)
  }

  /**
   * The top-level keys, all or those in `among`, whose values in `bag` differ from this text: set, changed inside, or deleted.
   * Throws ERR_SESSION_ENCODE for a value that cannot be encoded.
   */
  changes(bag: object, among?: readonly string[]): string[] {
    const now = among ? pick(bag, among) : shallowCopy(bag)
    const compared = this.#compare(now, among)
    if (compared) return compared.names
    if (!among && this.#codec.encode(now) === this.text) return []
    return this.#codec.differences(this.copy(), now, among)
  }

  /** `bag` as text: this one if nothing changed. Throws ERR_SESSION_ENCODE. */
  next(bag: object): DataText {
    const now = shallowCopy(bag)
    const compared = this.#compare(now)
    if (compared?.names.length === 0) return this
    const text = compared?.isPlain ? JSON.stringify(now) : this.#codec.encode(now)
    return !compared && this.#isText(text, now) ? this : new DataText(this.#codec, text)
  }

  /** `onto` with the top-level keys `names` as they are in `bag`; `onto` itself if it has them so. Never a deep merge. */
  merge(names: readonly string[], bag: object, onto: DataText): DataText {
    const merged = onto.copy()
    for (const name of names) {
      if (Object.hasOwn(bag, name)) define(merged, name, (bag as Data)[name])
      else delete merged[name]
    }
    return onto.next(merged)
  }

  #compare(now: Data, among?: readonly string[]): Changes | undefined {
    if (!this.#given || Object.getOwnPropertySymbols(now).length > 0) return undefined
    return this.#given.changes(now, () => this.copy(), among)
  }

  #isText(text: string, now: Data): boolean {
    if (text === this.text) return true
    // Keys in another order make another text of the same length, and no other session.
    return text.length === this.text.length && this.#codec.differences(this.copy(), now).length === 0
  }
}

function pick(bag: object, names: readonly string[]): Data {
  const picked: Data = {}
  for (const name of names) if (Object.hasOwn(bag, name)) define(picked, name, (bag as Data)[name])
  return picked
}

function define(data: Data, name: string, value: unknown): void {
  Object.defineProperty(data, name, { value, enumerable: true, configurable: true, writable: true })
}
