import type { Deadline } from './deadlines.js'
import { isSessionError, SessionError } from './errors.js'
import { type GuardedStore, isTimeout } from './guarded-store.js'
import { doubt, Job, latest, plan, prepare, retreat } from './job.js'
import type { Asking, Attempt, Plan, Settled } from './plan.js'
import { isLive, type State, type Stored } from './record.js'
import { conflict, pause } from './retry.js'
import { nextTurn } from './turn.js'
import { elapsed, setTimeout } from './waiting.js'

/** The changes of one key that have not ended. */
interface Queue {
  readonly jobs: Job[]
  isBusy: boolean
}

/** Keys without a change under way are dropped when there are this many keys, or twice as many as have one. */
const mostKeys = 1_000

/** Every change of a stored session goes through here: one write at a time in this process, conditionally in the store. */
export class StoredSessions {
  readonly #store: GuardedStore
  /** Keys stay for a while: a Map that changes all the time keeps what it held from the collection of young garbage. */
  readonly #queues = new Map<string, Queue>()
  #mostKeys = mostKeys
  readonly #watchers = new Map<string, Set<() => void>>()

  constructor(store: GuardedStore) {
    this.#store = store
  }

  /** Whether a change of `key` is under way in this process. */
  busy(key: string): boolean {
    return this.#queues.get(key)?.isBusy === true
  }

  /** Call `over` when this process destroys or rotates the session under `key`. Returns a function that stops this. */
  watch(key: string, over: () => void): () => void {
    const watchers = this.#watchers.get(key) ?? new Set()
    this.#watchers.set(key, watchers.add(over))
    return () => {
      if (watchers.delete(over) && watchers.size === 0) this.#watchers.delete(key)
    }
  }

  /**
   * Replace the record under `key` as `plan` says, and retry on the newest record whenever another process was faster. Changes
   * of one key queue up, and waiting ones are written together: each plan looks at the record of the plan before it. After an
   * error the next plan reads. Rejects with ERR_SESSION_CONFLICT if `deadline` passes first.
   */
  replace<A extends Attempt>(key: string, plan: Plan<A>, asking: Asking<A>): Promise<Settled<A>> {
    return new Promise<Settled<Attempt>>((resolve, reject) => {
      const job = new Job(plan as unknown as Plan<Attempt>, asking, resolve, reject)
      const queue = this.#queueOf(key)
      queue.jobs.push(job)
      if (queue.isBusy) {
        asking.first?.undo?.()
        this.#bound(job, queue.jobs)
        return
      }
      job.attempt = asking.first
      queue.isBusy = true
      void this.#work(key, queue, asking.known)
    }) as Promise<Settled<A>>
  }

  /** One conditional write. When its reply is lost, reading tells whether it took effect. */
  async write(next: Stored, expected: string | null, deadline: Deadline, doubt?: () => void): Promise<boolean> {
    for (let again = false; ; again = true) {
      try {
        return await this.#store.write(next, expected, deadline)
      } catch (error) {
        if (isTimeout(error)) throw error
        const found = await this.#store.read(next.key, deadline).catch(() => {
          throw error
        })
        if (found?.record.version === next.record.version) return true
        // A destroyed session leaves nothing to read.
        if (!found && next.record.expiresAt <= next.record.seenAt) return true
        if ((found?.record.version ?? null) !== expected) {
          doubt?.()
          return false
        }
        if (again) throw error
      }
    }
  }

  /** Settle every job of a key. Each batch begins with the state that the one before it left. */
  async #work(key: string, queue: Queue, known: State): Promise<void> {
    for (let state = known; queue.jobs.length > 0; ) state = await this.#settle(key, queue.jobs, state)
    queue.isBusy = false
  }

  #queueOf(key: string): Queue {
    let queue = this.#queues.get(key)
    if (queue) return queue
    if (this.#queues.size >= this.#mostKeys) {
      for (const [other, { isBusy }] of this.#queues) if (!isBusy) this.#queues.delete(other)
      this.#mostKeys = Math.max(mostKeys, 2 * this.#queues.size)
    }
    queue = { jobs: [], isBusy: false }
    this.#queues.set(key, queue)
    return queue
  }

  /** Settle the waiting jobs by one write. Resolves to the state stored then, or to `undefined` if that is unknown. */
  async #settle(key: string, queue: Job[], known: State): Promise<State> {
    let state = known
    for (let lost = 0; queue.length > 0; lost++) {
      let jobs = [...queue]
      if (jobs.length > 1) for (const job of jobs) this.#bound(job, queue)
      try {
        // A session that looks expired here may have been touched by another request: the store decides.
        if (state === undefined) state = await this.#store.read(key, latest(jobs))
        jobs = plan(queue, state)
        const last = jobs.findLast(job => job.isNew)
        if (!last?.attempt) {
          for (const job of jobs) job.finish(queue, state)
          return state
        }
        if (last.attempt.prepare && !(await prepare(queue, last, state))) {
          await retreat(jobs)
          continue
        }
        if (lost > 0 && endLate(queue)) {
          await retreat(jobs)
          continue
        }
        const { record } = last.attempt
        if (await this.write(record, state?.record.version ?? null, latest(jobs), () => doubt(jobs))) {
          nextTurn()
          if (!isLive(record)) for (const over of this.#watchers.get(key) ?? []) over()
          state = record.record.expiresAt <= Date.now() ? null : record
          for (const job of jobs) job.finish(queue, state)
          return state
        }
      } catch (error) {
        for (const job of jobs) job.fail(queue, job === jobs[0] ? error : another(error))
        return undefined
      }
      this.#store.event('conflict', key)
      await retreat(jobs)
      await pause(lost)
      endLate(queue)
      state = undefined
    }
    return undefined
  }

  /** A job that shares its calls with others still ends by its own deadline. */
  #bound(job: Job, queue: Job[]): void {
    const expire = () => job.fail(queue, this.#store.timeout('an earlier change of the session'))
    job.timer ??= setTimeout(expire, Math.max(job.deadline - elapsed(), 0))
  }

  /**
   * Delete a record whose id was never sent. If the caller's deadline has passed, this goes on in the background, because the
   * record must not stay. A creation without an answer may take effect late, so its record is deleted once more.
   */
  async discard(key: string, deadline: Deadline): Promise<void> {
    const discarding = this.#store.destroy(key, deadline)
    await discarding.catch(() => void this.#discardLate(key))
  }

  async #discardLate(key: string): Promise<void> {
    const { storeTimeout } = this.#store
    for (const wait of [0, storeTimeout]) {
      await new Promise(resolve => setTimeout(resolve, wait).unref())
      // The failure that led here has been reported already.
      await this.#store.destroy(key, this.#store.deadline()).catch(() => {})
    }
  }
}

/**
 * End the jobs that have lost a race and have no time left. The next call would be reported as a timeout, although the store is
 * not slow. Returns whether there was one.
 */
function endLate(queue: Job[]): boolean {
  const late = queue.filter(({ deadline }) => elapsed() >= deadline)
  for (const job of late) job.fail(queue, conflict())
  return late.length > 0
}

/** The same failure for another request. */
function another(error: unknown): unknown {
  return isSessionError(error) ? new SessionError(error.code, error.message, error.cause) : error
}
