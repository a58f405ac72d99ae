import { deepEqual } from 'node:assert/strict'
import { memoryStore } from 'koa-session-core'
import { isFull } from './full.js'
import { predict } from './model.js'
import { type Plan, samplePlans } from './plan.js'
import { type CreateStore, runPlan } from './run-plan.js'
import type { BehaviourCase } from './stage.js'

/** The memory store as several apps see one backend: closing it ends only the view. */
export function sharedMemory(): CreateStore {
  const backend = memoryStore()
  return () => ({ ...backend, close: async () => {} })
}

/** The plans that every store is asked to perform. */
export const storePlans = (): Plan[] => samplePlans(1, isFull ? 25 : 10)

/**
 * The same random plans for every store, whose requests must see what they see on the memory store: the tests of the core
 * show that this is what the model predicts. The clock of the process is set meanwhile: run them one after the other, and
 * nothing beside.
 */
export function planCases({ create }: { create: CreateStore }): BehaviourCase[] {
  return storePlans().map((plan, n) => ({
    title: `random plan ${n + 1} gives the same observations as on the memory store`,
    run: async () => deepEqual(await runPlan(plan, create), predict(plan)),
  }))
}
