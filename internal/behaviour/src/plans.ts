import type { Store } from 'koa-session-core'

/** What requests do, in the order in which they do it: the steps of requests that overlap are mixed. */
export interface Plan {
  readonly actions: readonly Action[]
}

/** One thing that happens in a plan. */
export type Action = { readonly kind: 'wait'; readonly milliseconds: number }

/** What a step of a plan saw, as text that two stores, or a store and the model, must agree on. */
export type Observation = string

/** Run `plan` over HTTP on the store of `create`, and tell what every step saw. */
export async function runPlan(_plan: Plan, _create: () => Store | Promise<Store>): Promise<Observation[]> {
  return []
}

/** The same `count` plans for the same `seed`. */
export function samplePlans(_seed: number, _count: number): Plan[] {
  return []
}
