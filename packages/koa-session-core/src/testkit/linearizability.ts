import { isDeepStrictEqual } from 'node:util'

/** One call of one client, with its begin and end on a clock that all clients share. */
export interface Operation<Call, Result> {
  readonly client: number
  readonly call: Call
  readonly result: Result
  readonly began: number
  readonly ended: number
}

/** The sequential specification: the effect of each call alone. A state is text, so that equal states compare equal. */
export interface Model<Call, Result> {
  readonly initial: string
  apply(state: string, call: Call): { readonly state: string; readonly result: Result }
}

/**
 * Whether some order of the operations explains every result, and puts none before another that had ended when it
 * began (Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects", 1990). Each client makes
 * one call at a time.
 *
 * This is the search of Wing and Gong, "Testing and verifying concurrent objects", 1993, with the addition of Lowe,
 * "Testing for linearizability", 2017: the same operations done, in the same state, are not explored again.
 */
export function linearizable<Call, Result>(
  model: Model<Call, Result>,
  history: readonly Operation<Call, Result>[],
): boolean {
  const byClient = new Map<number, Operation<Call, Result>[]>()
  for (const operation of history.toSorted((a, b) => a.began - b.began)) {
    const lane = byClient.get(operation.client)
    if (lane) lane.push(operation)
    else byClient.set(operation.client, [operation])
  }
  const lanes = [...byClient.values()]
  const explored = new Set<string>()

  /** Whether the remaining operations can follow after the first `done` operations of each lane led to `state`. */
  function explains(done: readonly number[], state: string): boolean {
    const next = lanes.map((lane, n) => lane[done[n] ?? 0])
    const firstEnd = Math.min(...next.map(operation => operation?.ended ?? Number.POSITIVE_INFINITY))
    if (firstEnd === Number.POSITIVE_INFINITY) return true
    const situation = `${done} ${state}`
    if (explored.has(situation)) return false
    explored.add(situation)
    return next.some((operation, n) => {
      if (operation === undefined || operation.began > firstEnd) return false
      const after = model.apply(state, operation.call)
      return (
        isDeepStrictEqual(after.result, operation.result) && explains(done.with(n, (done[n] ?? 0) + 1), after.state)
      )
    })
  }

  return explains(
    lanes.map(() => 0),
    model.initial,
  )
}
