/** The name of a method that says why a store cannot do anything, when a call has timed out. */
export const lastError: unique symbol = Symbol.for('koa-session-core.last-error')

/** A store whose driver goes on trying, and knows why it fails. */
export interface Explaining {
  /** The driver's last error since a call succeeded, if any. */
  [lastError](): unknown
}
