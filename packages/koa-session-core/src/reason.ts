/*
 * A driver's reason, fit for a log. Drivers put commands, values and whole rows into their errors, so that name, code and
 * message are all that goes on, and of the message nothing that may be a secret.
 */

/** The most characters in the reason of one failure. */
const longest = 400

/** A text this long that also occurs in the data counts as part of them. */
const telling = 12

/** Parts to leave out of any message. */
const patterns: readonly (readonly [what: RegExp, instead: string])[] = [
  // Passwords in URLs.
  [/([a-z][a-z\d+.-]*:\/\/)[^\s'"]*@/gi, '$1…@'],
  // Redis quotes the arguments of a command that it does not know, MongoDB, MySQL and PostgreSQL the values of a row.
  [/,? with args beginning with:.*/i, ''],
  [/(dup key:|row contains) .*/i, '$1 …'],
  [/\b(duplicate entry|value:|argument|near|type [\w ]+:|value) (['"]).*\2/i, '$1 $2…$2'],
  [/\)=\(.*\)/, ')=(…)'],
  [/: 0x[\da-f]{2}( 0x[\da-f]{2})*/i, ': …'],
  // OpenSSL names the place in its own source.
  [/[\dA-F]+:error:[\dA-F]+:([^:]*):[^:]*:([^:]*):.*/, '$1: $2'],
  [/wrong version number/, '$& (only one side speaks TLS)'],
  // Keys, subjects, parts of either, ids.
  [/[\da-f]{16,}/gi, '…'],
  [/(?<![\w-])[\w-]{43}(?![\w-])/g, '…'],
]

/** The code and message of an error and its causes, in one line. `data` is the text that was to be stored. */
export function reasonOf(error: unknown, data?: string): string {
  const said: string[] = []
  collect(error, data, said, 0)
  return bounded(said.join('; '))
}

/** A copy with name, code and message. */
export function scrubbed(error: unknown, data?: string): Error {
  const { name, code, message } = facts(error, data)
  const copy: Error & { code?: string | number } = new Error(cut(message, data) || reasonOf(error, data))
  if (name !== undefined) Object.defineProperty(copy, 'name', { value: name, configurable: true, writable: true })
  if (code !== undefined) copy.code = code
  return copy
}

function collect(error: unknown, data: string | undefined, said: string[], depth: number): void {
  const { name, code, message, errors, cause } = facts(error, data)
  const text = cut(message, data)
  const isNamed = code === undefined || new RegExp(`\\b${code}\\b`).test(text)
  // The message of an AggregateError is empty.
  const line = text === '' && errors.length > 0 ? '' : isNamed ? text : text === '' ? String(code) : `${code}: ${text}`
  if (line !== '' && !said.some(other => other.includes(line))) said.push(line)
  if (depth < 3) for (const inner of [...errors, ...(cause ? [cause] : [])]) collect(inner, data, said, depth + 1)
  if (depth === 0 && said.length === 0)
    said.push(name === undefined ? 'no reason was given' : `${name} without a message`)
}

interface Facts {
  readonly name: string | undefined
  readonly code: string | number | undefined
  readonly message: string
  readonly errors: readonly unknown[]
  readonly cause: unknown
}

const nothing: Facts = { name: undefined, code: undefined, message: '', errors: [], cause: undefined }

function facts(error: unknown, data = ''): Facts {
  if (typeof error !== 'object' || error === null) {
    return { ...nothing, message: 'the store rejected with a value that is no Error' }
  }
  const { name, code, message, errors, cause } = properties(error)
  const isWord = (value: unknown, pattern: RegExp) =>
    typeof value === 'string' && pattern.test(value) && cut(value, data) === value && !data.includes(value)
  const isCode = Number.isSafeInteger(code) || isWord(code, /^[A-Z\d][\w.-]{1,39}$/)
  return {
    name: isWord(name, /^[A-Z]\w{1,39}$/i) ? (name as string) : undefined,
    code: isCode ? (code as string | number) : undefined,
    message: typeof message === 'string' ? message : '',
    errors: Array.isArray(errors) ? errors.slice(0, 4) : [],
    cause: typeof cause === 'object' && cause !== error ? cause : undefined,
  }
}

function properties(error: object): Record<string, unknown> {
  const read = (property: string): unknown => {
    try {
      return (error as Record<string, unknown>)[property]
    } catch {
      return undefined
    }
  }
  return Object.fromEntries(['name', 'code', 'message', 'errors', 'cause'].map(property => [property, read(property)]))
}

/** A message in one line and without secrets. */
function cut(message: string, data: string | undefined): string {
  // As drivers escape what they quote.
  let text = message
    .slice(0, 4 * longest)
    .replace(/\\+(?=["'`])/g, '')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
  for (const [what, instead] of patterns) text = text.replace(what, instead)
  text = bounded(text)
  return data === undefined ? text : withoutData(text, data)
}

const bounded = (text: string): string => (text.length > longest ? `${text.slice(0, longest)}…` : text)

/** Cuts out quoted or long texts that also occur in the data. */
function withoutData(text: string, data: string): string {
  const free = text.replace(/(['"`])((?:(?!\1).){3,})\1/g, (all, quote, inner) =>
    data.includes(inner) ? `${quote}…${quote}` : all,
  )
  // Each common part of `telling` characters holds one of these windows.
  const [width, step] = [telling / 2, telling / 2 + 1]
  let result = ''
  let kept = 0
  for (let at = 0; at + width <= free.length; at += step) {
    if (at < kept || !data.includes(free.slice(at, at + width))) continue
    let from = Math.max(kept, at + width - telling)
    while (from <= at && !isIn(data, free, from, from + telling)) from++
    if (from > at) continue
    let to = from + telling
    while (isIn(data, free, from, to + 1)) to++
    result += `${free.slice(kept, from)}…`
    kept = to
  }
  return result + free.slice(kept)
}

const isIn = (data: string, text: string, from: number, to: number): boolean =>
  to <= text.length && data.includes(text.slice(from, to))
