import type { Deadline } from './deadlines.js'
import type { State, Stored } from './record.js'

/** A record to put in place of the present one, which may be the present one itself: then there is nothing to write. */
export interface Attempt {
  readonly record: Stored
  /** Runs before the write. A reason: do not write, stop. */
  readonly prepare?: () => Promise<Refusal | undefined>
  /** Runs when the attempt lost, failed or is given up. */
  readonly undo?: (() => void) | undefined
  /** Runs after `undo` if `prepare` has begun. */
  readonly discard?: () => Promise<void>
}

/** Why an attempt must not be written: calls of `revokeAll` end the session or spare it, or another login took its place. */
export type Refusal = 'ends' | 'spared' | 'superseded'

/**
 * Looks at the newest record, which may be about to be written, and returns an attempt. `undefined`: nothing to write, stop. A
 * plan may run many times and remembers nothing. `doubtful` lists its attempts whose reply was lost and whose record was not
 * found: if one of them took effect before others wrote, that attempt is the answer.
 */
export type Plan<A extends Attempt> = (now: Stored | null, doubtful: readonly A[]) => A | undefined

/** The outcome of a plan. */
export interface Settled<A extends Attempt> {
  /** The attempt that won. `undefined`: the plan stopped. */
  readonly attempt: A | undefined
  /** The record that the plan saw last. */
  readonly seen: Stored | null
  /** The stored state now. Other records may have been written together with this plan's. */
  readonly state: Stored | null
  readonly doubtful: readonly A[]
  /** Why the plan stopped, if its attempt was refused. */
  readonly refusal: Refusal | undefined
}

export interface Asking<A extends Attempt> {
  readonly deadline: Deadline
  /** The stored state, if the caller knows it. */
  readonly known?: State
  /** The plan's answer to `known`, if the caller has it already. It is tried unless another change is under way. */
  readonly first?: A | undefined
  /** Two plans of one owner are never written together: the second one needs the outcome of the first. */
  readonly owner?: object
}
