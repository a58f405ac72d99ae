import type { Action, Data } from './plan.js'

/** The result of one action of a plan, as text: the same for the model and for every correct store. */
export type Observation = string

/** The observations of a plan, with names for ids in the order in which they are met. Times are seconds. */
export class Notes {
  readonly lines: Observation[] = []
  readonly #names = new Map<string, string>()

  name(id: string): string {
    const name = this.#names.get(id) ?? `s${this.#names.size + 1}`
    this.#names.set(id, name)
    return name
  }

  /** The effect of an answer on the cookie. `lasts` is set for a cookie that outlives the browser. */
  cookie(id: string | undefined, lasts: number | undefined): string {
    if (id === undefined) return 'no cookie any more'
    return lasts === undefined ? this.name(id) : `${this.name(id)} for ${lasts} s`
  }

  add(action: Action, ...seen: unknown[]): void {
    const told = seen.filter(one => one !== undefined).map(one => (typeof one === 'string' ? one : JSON.stringify(one)))
    if (told.length > 0) this.lines.push(`${title(action)}: ${told.join(', ')}`)
  }
}

/** The cookie of a browser, and those it had before. */
export class Jar {
  readonly #had: string[] = []
  #id: string | undefined

  /** The id it has, or the one it had `back` ids ago, if it had so many. */
  id(back: number): string | undefined {
    return back === 0 ? this.#id : (this.#had.at(-1 - back) ?? this.#id)
  }

  keep(id: string | undefined): void {
    this.#id = id
    if (id !== undefined && this.#had.at(-1) !== id) this.#had.push(id)
  }
}

const sorted = (data: Data) => JSON.stringify(Object.fromEntries(Object.entries(data).sort()))

/** A session as a handler sees it; `id` once it is stored. */
export function sessionLine(session: {
  readonly data: Data
  readonly id: string | undefined
  readonly createdAt: number
  readonly expiresAt: number
  readonly maxAge: unknown
}): string {
  const { data, id, createdAt, expiresAt, maxAge } = session
  return `${id ?? 'new'} ${sorted(data)} ${createdAt}..${expiresAt} ${maxAge}`
}

/** A session as a list of devices shows it. */
export function listedLine(session: {
  readonly data: Data
  readonly createdAt: number
  readonly seenAt: number
  readonly expiresAt: number
}): string {
  const { data, createdAt, seenAt, expiresAt } = session
  return `${sorted(data)} ${createdAt}..${seenAt}..${expiresAt}`
}

function title(action: Action): string {
  if (action.kind === 'step') return `${action.client} ${action.step.do}`
  return 'client' in action ? `${action.client} ${action.kind}` : action.kind
}
