import { basename } from 'node:path'

const prefix = 'koa-session-store-'

export interface Names {
  /** The name on npm, such as `koa-session-store-my-db`. */
  readonly package: string
  /** The name in errors and events, such as `my-db`. */
  readonly store: string
  /** The function, such as `myDbStore`. */
  readonly factory: string
}

/** The names that follow from a folder, or from the name on npm if that is given. */
export function namesFor(folder: string, given?: string): Names {
  const said = given ?? basename(folder)
  const name = said.replace(/^@[a-z\d][a-z\d._-]*\//, '')
  const store = name.startsWith(prefix) ? name.slice(prefix.length) : name
  if (!/^[a-z][a-z\d]*(-[a-z\d]+)*$/.test(store)) {
    throw new TypeError(
      `the name of a store must be lower-case words with hyphens that begin with a letter, such as my-db, got ${JSON.stringify(said)}`,
    )
  }
  const full = given ?? prefix + store
  if (full.length > 214)
    throw new TypeError(`the name of a package must have at most 214 characters, got ${full.length}`)
  const words = (store.endsWith('-store') ? store : `${store}-store`).split('-')
  const factory = words.map((word, n) => (n === 0 ? word : capitalized(word))).join('')
  return { package: full, store, factory }
}

export const capitalized = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)
