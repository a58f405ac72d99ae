import { type Codec, isJsonText } from './codec.js'
import { isSessionError, SessionError, undecodable } from './errors.js'

export type Data = Record<string, unknown>

/** The codec as the core calls it: every failure inside is one of two SessionErrors. */
export class GuardedCodec {
  readonly #codec: Codec
  #empty: string | undefined

  constructor(codec: Codec) {
    this.#codec = codec
  }

  encode(value: unknown): string {
    let text: unknown
    try {
      text = this.#codec.stringify(value)
    } catch (error) {
      if (isSessionError(error)) throw error
      throw new SessionError('ERR_SESSION_ENCODE', 'codec.stringify threw while it encoded the session', error)
    }
    if (typeof text !== 'string') {
      throw new SessionError('ERR_SESSION_ENCODE', `codec.stringify must return a string, got a ${typeof text}`)
    }
    // PostgreSQL cannot store it.
    if (text.includes('\0')) {
      throw new SessionError('ERR_SESSION_ENCODE', 'codec.stringify must return text without NUL characters')
    }
    return text
  }

  decode(text: string): unknown {
    try {
      return this.#codec.parse(text)
    } catch {
      throw undecodable()
    }
  }

  /** The text of a session without data. */
  get empty(): string {
    return (this.#empty ??= this.encode({}))
  }

  /** The own properties of `source`, as one text. */
  encodeData(source: object): string {
    return this.encode(shallowCopy(source))
  }

  decodeData(text: string): Data {
    const data = this.decode(text)
    if (typeof data === 'object' && data !== null && !Array.isArray(data)) return data as Data
    throw undecodable()
  }

  /** Whether `text` is JSON, for `JSON.parse` and `JSON.stringify`. */
  isJson(text: string): boolean {
    return isJsonText(this.#codec, text)
  }

  /** One top-level value as text, to compare by; `undefined` where there is none. */
  part(data: object, name: string): string | undefined {
    // Under its name, so that an error tells the whole path.
    return Object.hasOwn(data, name) ? this.encode({ [name]: (data as Data)[name] }) : undefined
  }

  /** The top-level names whose values differ between two objects. */
  differences(one: object, other: object, names?: readonly string[]): string[] {
    names ??= [...new Set([...Object.keys(one), ...Object.keys(other)])]
    return names.filter(name => this.part(one, name) !== this.part(other, name))
  }
}

/** The own properties of `source`, which may be the user's object. Throws ERR_SESSION_ENCODE if a getter throws. */
export function shallowCopy(source: object): Data {
  try {
    return { ...source }
  } catch (error) {
    throw new SessionError(
      'ERR_SESSION_ENCODE',
      `the session's property ${throwing(source)} threw while it was read`,
      error,
    )
  }
}

/** The first property that throws when it is read. */
function throwing(source: object): string | undefined {
  return Object.keys(source).find(name => {
    try {
      void (source as Data)[name]
      return false
    } catch {
      return true
    }
  })
}
