import { adminCases } from './admin.js'
import { authenticationCases } from './authentication.js'
import { changeCases } from './changes.js'
import { copiedSessionCases } from './copied-sessions.js'
import { endingCases } from './endings.js'
import { expiryCases } from './expiry.js'
import { flashCases } from './flash.js'
import { isFull } from './full.js'
import { headlines } from './headlines.js'
import { lateAnswerCases } from './late-answers.js'
import { revocationCases } from './revocation.js'
import { rotationCases } from './rotation.js'
import { type BehaviourCase, type BehaviourOptions, onTwo, Stage, type StageCase } from './stage.js'
import { touchCases } from './touches.js'

export { type Answer, type Asking, Browser, exchange } from './browser.js'
export { secretsFound } from './dump.js'
export { type Gate, gate } from './gate.js'
export { processCases } from './processes.js'
export { type Around, type Handler, type Page, Site } from './site.js'
export type { BehaviourCase, BehaviourOptions } from './stage.js'
export { type Held, type Operation, type WatchedStore, watched } from './watched-store.js'

const cases = [
  ...changeCases,
  ...flashCases,
  ...endingCases,
  ...rotationCases,
  ...authenticationCases,
  ...lateAnswerCases,
  ...copiedSessionCases,
  ...touchCases,
  ...adminCases,
  ...revocationCases,
  ...expiryCases,
]

/**
 * The promises to users about overlapping requests, and those that depend on the store: cases for any test runner, each over
 * real HTTP in a world of its own.
 *
 * @example
 * for (const { title, run } of behaviourCases({ create, shared: true })) test(title, run)
 */
export function behaviourCases(options: BehaviourOptions): BehaviourCase[] {
  return staged(cases, options)
}

/**
 * Those of them that ask most of the store: a case that runs on one app and on two runs on two only, where the store alone
 * decides; all of them where `FULL` is set.
 */
export function sharedCases(options: BehaviourOptions): BehaviourCase[] {
  const titles = new Set(cases.map(({ title }) => title))
  return staged(isFull ? cases : cases.filter(({ title }) => !titles.has(onTwo(title))), onStore(options))
}

/** Those of them that show the promises which only a store can keep; all of them where `FULL` is set. */
export function headlineCases(options: BehaviourOptions): BehaviourCase[] {
  return staged(isFull ? cases : cases.filter(({ title }) => headlines.includes(title)), onStore(options))
}

/** On memory every combination runs. What they mean to a store is the same calls. */
const onStore = (options: BehaviourOptions): BehaviourOptions => ({ ...options, everyCombination: isFull })

function staged(chosen: readonly StageCase[], options: BehaviourOptions): BehaviourCase[] {
  return chosen.map(({ title, run }) => ({ title, run: () => Stage.with(options, run) }))
}
