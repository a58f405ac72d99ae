import type { Deadline } from './deadlines.js'
import type { Asking, Attempt, Plan, Refusal, Settled } from './plan.js'
import { isLive, type Stored } from './record.js'
import { clearTimeout } from './waiting.js'

/** A plan that waits for its turn or is being tried. */
export class Job {
  readonly plan: Plan<Attempt>
  readonly deadline: Deadline
  readonly owner: object | undefined
  readonly #resolve: (settled: Settled<Attempt>) => void
  readonly #reject: (error: unknown) => void
  attempt: Attempt | undefined
  seen: Stored | null = null
  doubtful: Attempt[] = []
  timer: NodeJS.Timeout | undefined
  isPrepared = false
  refusal: Refusal | undefined
  isOver = false

  constructor(
    plan: Plan<Attempt>,
    { deadline, owner }: Pick<Asking<Attempt>, 'deadline' | 'owner'>,
    resolve: (settled: Settled<Attempt>) => void,
    reject: (error: unknown) => void,
  ) {
    this.plan = plan
    this.deadline = deadline
    this.owner = owner
    this.#resolve = resolve
    this.#reject = reject
  }

  /** Whether it has something to write. */
  get isNew(): boolean {
    const { attempt } = this
    return attempt !== undefined && attempt.record !== this.seen && !this.doubtful.includes(attempt)
  }

  #leave(queue: Job[]): boolean {
    if (this.isOver) return false
    this.isOver = true
    clearTimeout(this.timer)
    queue.splice(queue.indexOf(this), 1)
    return true
  }

  finish(queue: Job[], state: Stored | null): void {
    const { attempt, seen, doubtful, refusal } = this
    if (this.#leave(queue)) this.#resolve({ attempt, seen, state, doubtful, refusal })
  }

  fail(queue: Job[], error: unknown): void {
    if (!this.#leave(queue)) return
    const reject = () => this.#reject(error)
    const undone = this.undo()
    if (undone) undone.then(reject, reject)
    else reject()
  }

  undo(): Promise<void> | undefined {
    const { attempt, isPrepared } = this
    this.attempt = undefined
    this.isPrepared = false
    attempt?.undo?.()
    return isPrepared ? attempt?.discard?.() : undefined
  }
}

/** Let the plans that wait look at the state, one after the other. Returns those that one write settles. */
export function plan(queue: Job[], state: Stored | null): Job[] {
  const jobs: Job[] = []
  let now = state
  for (const job of [...queue]) {
    if (job.owner && jobs.some(({ owner }) => owner === job.owner)) break
    try {
      job.seen = now
      job.attempt ??= job.plan(now, job.doubtful)
    } catch (error) {
      job.fail(queue, error)
      continue
    }
    jobs.push(job)
    if (!job.isNew || !job.attempt) continue
    now = job.attempt.record
    // The next plan needs to know whether this one won.
    if (job.attempt.prepare || !isLive(now)) break
  }
  return jobs
}

/** Resolves to whether the attempt of `job` can be written. Otherwise the job has ended, and only that one. */
export async function prepare(queue: Job[], job: Job, state: Stored | null): Promise<boolean> {
  try {
    job.isPrepared = true
    job.refusal = await job.attempt?.prepare?.()
    if (!job.refusal) return !job.isOver
    await job.undo()
    job.finish(queue, state)
  } catch (error) {
    job.fail(queue, error)
  }
  return false
}

export async function retreat(jobs: readonly Job[]): Promise<void> {
  for (const job of jobs) if (!job.isOver) await job.undo()
}

export function doubt(jobs: readonly Job[]): void {
  for (const job of jobs) if (job.attempt && job.isNew) job.doubtful.push(job.attempt)
}

export const latest = (jobs: readonly Job[]): Deadline => Math.max(...jobs.map(({ deadline }) => deadline))
