import { types } from 'node:util'
import type { Context } from 'koa'
import type { OptionCheck } from './check.js'
import type { MaxAge } from './record.js'
import type { SessionData } from './session.js'
import { warnOnce } from './warn-once.js'

/** A session that another library kept. */
export interface Adopted {
  /**
   * The secret by which a client names the session there, such as the key of its record. The same for every request that brings
   * this session, and different for every other session: all requests that bring it end in one. The value of a cookie that holds the data
   * is neither secret nor different for two visitors with the same data.
   */
  readonly credential: string
  readonly data: SessionData
  /** @default the option maxAge */
  readonly maxAge?: MaxAge
}

/** Takes over the sessions of another library. */
export interface AdoptOptions {
  /**
   * Returns what another library kept for the visitor, or `undefined`. Asked only when a request brings no live session of ours.
   * Must leave the old record in place, for parallel requests and for a rollback. If it throws or rejects, the session is one
   * that cannot be read.
   */
  readonly from: (ctx: Context) => Adopted | undefined | Promise<Adopted | undefined>
  /** The moment at which the last old session is over. After it, `from` is not asked. */
  readonly until: Date
}

export function checkAdopt(check: OptionCheck, adopt: AdoptOptions): void {
  check.names(adopt, { known: ['from', 'until'], hints: { expires: 'until', get: 'from' } }, 'adopt')
  const { from, until } = adopt
  check.that('adopt.from', typeof from === 'function', 'must be a function', from)
  const isDate = types.isDate(until) && !Number.isNaN(until.getTime())
  check.that('adopt.until', isDate, 'must be a valid Date: when the last old session is over', until)
  if (isDate && until.getTime() <= Date.now()) {
    warnOnce(
      'KOA_SESSION_ADOPT_OVER',
      'adopt.until has passed, so sessions of the other library are not taken over: leave adopt out, or set a later date',
    )
  }
}
