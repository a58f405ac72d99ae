/** The options of one function. */
export interface OptionNames {
  /** The names of all options. */
  readonly known: readonly string[]
  /**
   * Advice on other names, in lower case and without `_` and `-`: the name of the option that is meant, or
   * a sentence.
   */
  readonly hints?: Readonly<Record<string, string>>
}

/**
 * Checks the options of one call. `end` throws one `TypeError` that lists all mistakes:
 * `redisStore(): option prefix must be a non-empty string, got ""`. No message shows a value that may be a secret.
 */
export class OptionCheck {
  readonly #where: string
  readonly #faults: string[] = []

  /** `where` is the function as an app calls it, such as `redisStore()`. */
  constructor(where: string) {
    this.#where = where
  }

  /** Requires that all names in `options` are known. Throws at once if it is no object. `group` is the option that holds them. */
  names(options: unknown, { known, hints = {} }: OptionNames, group?: string): void {
    if (!hasProperties(options)) {
      const instead = known.includes('url') && typeof options === 'string' ? '; did you mean { url }?' : ''
      const rule = `takes an object of options, got ${group === undefined ? kindOf(options) : show(options)}${instead}`
      if (group === undefined) throw new TypeError(`${this.#where} ${rule}`)
      this.fault(group, rule)
      throw this.#error()
    }
    let isListed = false
    for (const name of Object.keys(options).filter(one => !known.includes(one))) {
      const whose = group === undefined ? '' : `${group}.`
      const hint = hintFor(name, known, hints, whose)
      // Text that looks like no name may be a secret in the wrong place.
      const isName = (hint === undefined ? /^[A-Za-z_$]{1,40}$/ : /^[\w$-]{1,40}$/).test(name)
      const named = whose + (isName ? name : '(name not shown)')
      const listed = isListed ? '' : `; the options are ${known.map(one => whose + one).join(', ')}`
      if (hint === undefined) isListed = true
      this.fault(named, `is unknown${hint === undefined ? listed : `: ${hint}`}`)
    }
  }

  /** Reports that `option` is wrong. */
  fault(option: string, rule: string): void {
    this.#faults.push(`option ${option} ${rule}`)
  }

  /** Reports `option` unless `good`. The message shows the value if it is a number, a boolean or a short string. */
  that(option: string, good: boolean, rule: string, value: unknown): void {
    if (!good) this.fault(option, `${rule}, got ${show(value)}`)
  }

  /** The same for a URL, a client or a key: the message shows only the type of the value. `advice` says what to do instead. */
  secret(option: string, good: boolean, rule: string, value: unknown, advice = ''): void {
    if (!good) this.fault(option, `${rule}, got ${kindOf(value)}${advice && `; ${advice}`}`)
  }

  /** Requires an object with these methods. Returns whether `value` is one. */
  methods(option: string, value: unknown, required: readonly string[], advice?: string): boolean {
    const missing = required.find(method => typeof Object(value)[method] !== 'function')
    if (missing === undefined) return true
    const rule = `must have the methods ${required.join(', ')}, ${missing} is missing`
    const name = typeof value === 'function' && isIdentifier(value.name) && value.name
    this.secret(option, false, rule, value, advice ?? (name ? `if it makes one, call it: ${option}: ${name}()` : ''))
    return false
  }

  /** Requires exactly one of two options. */
  either(options: object, one: string, other: string): void {
    const given = [one, other].filter(name => (options as Record<string, unknown>)[name] !== undefined)
    if (given.length === 1) return
    const got = given.length === 2 ? 'both' : 'neither'
    this.#faults.push(`options must have either ${one} or ${other}, got ${got}`)
  }

  /**
   * Requires a URL that begins with one of `starts` and that `parse` accepts; `parse` throws where the driver would. The
   * message shows no part of the URL.
   */
  url(option: string, value: unknown, starts: readonly string[], parse: (url: string) => unknown = parsed): void {
    if (typeof value !== 'string' || !starts.some(start => value.toLowerCase().startsWith(start))) {
      this.secret(option, false, `must begin with ${starts.join(' or ')}`, value)
      return
    }
    let said: string | undefined
    try {
      parse(value)
      if (!isCutShort(value)) return
    } catch (error) {
      // Drivers quote text that they cannot parse. Only the names of options are no secret.
      said = /^options? [A-Za-z, ]{1,60} (is|are) not supported$/.exec((error as Error).message)?.[0]
    }
    const encode = 'percent-encode user name and password with encodeURIComponent (# is %23, / is %2F, @ is %40)'
    const isOther = said !== undefined && !isCutShort(value)
    this.fault(
      option,
      isOther ? `is refused by the driver: ${said}` : `cannot be parsed: check host and port, ${encode}`,
    )
  }

  /** Throws if anything was wrong. */
  end(): void {
    if (this.#faults.length > 0) throw this.#error()
  }

  #error(): TypeError {
    return new TypeError(`${this.#where}: ${this.#faults.join('\n  ')}`)
  }
}

/** Whether `value` is an object that keeps what it holds in properties: no array, Map, Date or Promise. */
export const hasProperties = (value: unknown): value is object =>
  typeof value === 'object' && /^\[object (Object|Module)\]$/.test(Object.prototype.toString.call(value))

export const isWhole = (value: unknown, least: number, most: number): value is number =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most

/** A value for a message, if it cannot be a secret: a number, a boolean or a short string. Otherwise its type. */
export function show(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  const isPlain = typeof value === 'string' && value.length <= 20 && !/:\/\/|@|(?=.{6}).*\d/s.test(value)
  return isPlain ? JSON.stringify(value) : kindOf(value)
}

/** The type of a value, or the name of its class. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  const name = className(value)
  if (name === 'Promise') return 'a Promise, which must be awaited first'
  if (name === 'Array') return 'an array'
  return name === 'Object' ? 'an object' : `${/^[AEIOU]/i.test(name) ? 'an' : 'a'} ${name}`
}

/** Every driver takes a URL. A path is that of a socket. */
function parsed(text: string): void {
  if (text.startsWith('/')) return
  const { username, password, hostname, pathname } = new URL(text)
  for (const part of [username, password, hostname, pathname]) decodeURIComponent(part)
}

/** Whether an `@` follows the host, because a `/`, `?` or `#` in the password ended the host too early. */
const isCutShort = (url: string): boolean => /^[^:]*:\/\/[^@/?#]*([/?#][^@=]*|#.*)@/.test(url)

function className(value: object): string {
  try {
    // Not `value.constructor`, which may be data.
    const { name } = Object.getPrototypeOf(value).constructor
    return isIdentifier(name) ? name : 'Object'
  } catch {
    return 'Object'
  }
}

const isIdentifier = (name: unknown): boolean => typeof name === 'string' && /^[A-Za-z_$][\w$]{0,39}$/.test(name)

function hintFor(
  name: string,
  known: readonly string[],
  hints: Readonly<Record<string, string>>,
  whose: string,
): string | undefined {
  const plain = plainName(name)
  let hint = Object.hasOwn(hints, plain) ? hints[plain] : undefined
  if (hint !== undefined && !known.includes(hint)) {
    if (!isIdentifier(hint)) return hint
    // It names an option of other functions that share these hints.
    hint = undefined
  }
  const isClose = (one: string) => distance(plainName(one), plain) <= (one.length > 4 ? 2 : 1)
  const meant = hint ?? known.find(isClose) ?? (/ur[il]$/.test(plain) && known.includes('url') ? 'url' : undefined)
  return meant === undefined ? undefined : `did you mean ${whose}${meant}?`
}

const plainName = (name: string): string => name.slice(0, 40).toLowerCase().replace(/[_-]/g, '')

/** The number of insertions, deletions and substitutions between `a` and `b`. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, n) => n)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const exchanged = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(exchanged, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
