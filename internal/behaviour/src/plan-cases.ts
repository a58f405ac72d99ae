import { deepEqual } from 'node:assert/strict'
import { memoryStore } from 'koa-session-core'
import { isFull } from './full.js'
import { samplePlans } from './plan.js'
import { type CreateStore, runPlan } from './run-plan.js'
import type { BehaviourCase } from './stage.js'

/** The memory store as several apps see one backend: closing it ends only the view. */
export function sharedMemory(): CreateStore {
  const backend = memoryStore()
  return () => ({ ...backend, close: async () => {} })
}

/**
 * The same random plans for every store, whose requests must see what they see on the memory store. The clock of the
 * process is set meanwhile: run them one after the other, and nothing beside.
 */
export function planCases(options: { create: CreateStore; seed?: number; count?: number }): BehaviourCase[] {
  const { create, seed = 1, count = isFull ? 25 : 10 } = options
  return samplePlans(seed, count).map((plan, n) => ({
    title: `random plan ${n + 1} gives the same observations as on the memory store`,
    run: async () => deepEqual(await runPlan(plan, create), await runPlan(plan, sharedMemory())),
  }))
}
