/** The name of a method that returns why a store is failing, for the message of a timeout. */
export const lastError: unique symbol = Symbol.for('koa-session-core.last-error')

/** A store whose driver retries and knows why it fails. */
export interface Explaining {
  /** The driver's last error since a call succeeded, if any. */
  [lastError](): unknown
}
