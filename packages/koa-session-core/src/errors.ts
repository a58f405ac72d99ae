import { reasonOf, scrubbed } from './reason.js'

/** The HTTP status of each code, and whether a retry may help. */
const codes = {
  /** The store failed: the backend refused, broke off or rejected the call. */
  ERR_SESSION_STORE: { status: 503, retry: true },
  /** The store did not answer within `storeTimeout`. */
  ERR_SESSION_TIMEOUT: { status: 503, retry: true },
  /** A commit kept losing races against other commits until `storeTimeout` had passed. */
  ERR_SESSION_CONFLICT: { status: 503, retry: true },
  /** A stored record cannot be decoded: it is foreign, damaged, or sealed with another key. */
  ERR_SESSION_DECODE: { status: 500, retry: false },
  /** The session holds a value that would come back different. */
  ERR_SESSION_ENCODE: { status: 500, retry: false },
  /** The encoded session is larger than `maxBytes`. */
  ERR_SESSION_TOO_LARGE: { status: 500, retry: false },
  /** A session id can no longer be delivered, because the response headers have left. */
  ERR_SESSION_HEADERS_SENT: { status: 500, retry: false },
} as const

export type SessionErrorCode = keyof typeof codes

const brand = Symbol.for('koa-session-core.error')

/** A failure at run time. Programmer mistakes are a bare `TypeError` instead. */
export class SessionError extends Error {
  /** Stable; the message is not. */
  readonly code: SessionErrorCode
  /** The HTTP status Koa answers with. */
  readonly status: number
  /** Always false: Koa keeps the message from the client. */
  readonly expose: boolean = false
  /** Response headers Koa's error handler sends, `Retry-After` (seconds) with every 503. */
  headers?: Record<string, string | string[]>

  constructor(code: SessionErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause: isSessionError(cause) ? cause : scrubbed(cause) })
    this.code = code
    showCode(this, code)
    this.status = codes[code].status
    if (codes[code].retry) this.headers = { 'Retry-After': '1' }
    Object.defineProperty(this, brand, { value: true })
  }

  override get name(): string {
    return 'SessionError'
  }
}

/** `error` with a code of its own. */
export function coded(error: Error, code: string): Error {
  showCode(error, code)
  return Object.assign(error, { code })
}

/** Put the code into the first line of the stack, as Node does: Koa logs nothing else of an error. */
function showCode(error: Error, code: string): void {
  if (error.stack) error.stack = error.stack.replace(error.name, `${error.name} [${code}]`)
}

/** Whether `error` is a SessionError, of this or a second installed copy of this package. */
export function isSessionError(error: unknown): error is SessionError {
  return typeof error === 'object' && error !== null && brand in error
}

/** It has no cause: `JSON.parse` quotes the text that it could not read. */
export const undecodable = (): SessionError =>
  new SessionError(
    'ERR_SESSION_DECODE',
    'a stored session could not be decoded: it is damaged, of another app, or sealed with another key',
  )

/** A store's reason for a failed call: a line for the message, and a copy for `cause`. */
export interface Failure {
  readonly reason: string
  readonly cause: Error
}

/** `data` is the text that was to be stored. No message may quote it. */
export function failure(cause: unknown, data: string | undefined): Failure {
  return isSessionError(cause)
    ? { reason: cause.message, cause }
    : { reason: reasonOf(cause, data), cause: scrubbed(cause, data) }
}
