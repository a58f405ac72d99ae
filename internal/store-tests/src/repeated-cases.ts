import { isFull } from '@koa-session/behaviour/full'
import { type ConformanceCase, type ConformanceOptions, conformanceCases } from 'koa-session-core/testkit'

/**
 * The part of the contract that depends on how a backend is reached: what races, and what is written on a condition. A store
 * has passed all of it by its usual way; `FULL=1` runs all of it on every other way too.
 */
export function repeatedCases(options: ConformanceOptions): ConformanceCase[] {
  return conformanceCases(options).filter(({ theme }) => isFull || theme === 'races' || theme === 'conditions')
}
