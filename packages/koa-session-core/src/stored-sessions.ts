import type { Deadline } from './deadlines.js'
import { isSessionError, SessionError } from './errors.js'
import { type GuardedStore, isTimeout } from './guarded-store.js'
import { ended, isLive, type Live, type Reason, type State, type Stored, type Tombstone, tombstone } from './record.js'
import { nextTurn } from './turn.js'
import { clearTimeout, elapsed, setTimeout } from './waiting.js'

/** A record to put in place of the present one. */
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
 * The answer to the newest record, which may be one that is about to be written. `undefined`: nothing to write, stop here. A
 * plan may run many times and remembers nothing. `doubtful` are its attempts whose reply was lost and whose record was not
 * found: if one of them took effect before others wrote, that attempt is the answer.
 */
export type Plan<A extends Attempt> = (now: Stored | null, doubtful: readonly A[]) => A | undefined

/** The outcome of a plan. */
export interface Settled<A extends Attempt> {
  /** The attempt that won. `undefined`: the plan stopped. */
  readonly attempt: A | undefined
  /** The record that the plan saw last. */
  readonly seen: Stored | null
  /** What is stored now. Others may have been written together with this plan's record. */
  readonly state: Stored | null
  readonly doubtful: readonly A[]
  /** Why the plan stopped, if its attempt was refused. */
  readonly refusal: Refusal | undefined
}

export interface Asking<A extends Attempt> {
  readonly deadline: Deadline
  /** What the caller knows to be stored. */
  readonly known?: State
  /** The plan's answer to `known`, if the caller has it already. It is tried unless another change is under way. */
  readonly first?: A | undefined
  /** Two plans of one owner are never written together: the second one needs the outcome of the first. */
  readonly owner?: object
}

/** The outcome of ending a session. */
export interface Ended {
  /** Whether this call ended anything. */
  readonly ended: boolean
  /** The session that this call ended, unless it could not be read. */
  readonly session?: Live | undefined
  /** The tombstone that was left, or the one of another login that was met. */
  readonly tombstone?: Tombstone | undefined
}

/** The longest pause between two attempts that lost, in milliseconds. */
const longestPause = 100

/** Every change of a stored session goes through here: one write at a time in this process, conditionally in the store. */
export class StoredSessions {
  readonly #store: GuardedStore
  readonly #queues = new Map<string, Job[]>()
  readonly #watchers = new Map<string, Set<() => void>>()

  constructor(store: GuardedStore) {
    this.#store = store
  }

  /** Whether a change of `key` is under way in this process. */
  busy(key: string): boolean {
    return this.#queues.has(key)
  }

  /** Call `over` when this process ends the session under `key` or gives it another id. Returns what stops that. */
  watch(key: string, over: () => void): () => void {
    const watchers = this.#watchers.get(key) ?? new Set()
    this.#watchers.set(key, watchers.add(over))
    return () => {
      if (watchers.delete(over) && watchers.size === 0) this.#watchers.delete(key)
    }
  }

  /**
   * Replace the record under `key` by what `plan` makes of the newest one, and ask again on fresh data whenever another
   * process was faster. Changes of one key queue up, and those that wait are written together: each plan looks at the record
   * that the one before it made. After an error the next one reads. Rejects with ERR_SESSION_CONFLICT when `deadline` passes
   * first.
   */
  replace<A extends Attempt>(key: string, plan: Plan<A>, asking: Asking<A>): Promise<Settled<A>> {
    return new Promise<Settled<Attempt>>((resolve, reject) => {
      const job = new Job(plan as unknown as Plan<Attempt>, asking, resolve, reject)
      const queue = this.#queues.get(key)
      if (queue) {
        asking.first?.undo?.()
        this.#bound(job, queue)
        queue.push(job)
        return
      }
      job.attempt = asking.first
      const jobs = [job]
      this.#queues.set(key, jobs)
      void this.#work(key, jobs, asking.known)
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
        // An ending leaves nothing to read.
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
  async #work(key: string, queue: Job[], known: State): Promise<void> {
    for (let state = known; queue.length > 0; ) state = await this.#settle(key, queue, state)
    this.#queues.delete(key)
  }

  /** Settle what waits by one write. Resolves to what is stored then, or to `undefined` when that is not known. */
  async #settle(key: string, queue: Job[], known: State): Promise<State> {
    let state = known
    for (let lost = 0; queue.length > 0; lost++) {
      let jobs = [...queue]
      if (jobs.length > 1) for (const job of jobs) this.#bound(job, queue)
      try {
        // What looks expired here may have been touched by another request meanwhile: the store decides.
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
      // No call is begun that has no time left: it would be a timeout, and the store is not slow.
      for (const job of [...queue]) if (elapsed() >= job.deadline) job.fail(queue, conflict())
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
   * End the session under `key`, wherever it went meanwhile. With `successor` it leaves a tombstone that names that key, and
   * stops at the tombstone of another login; `spared` are other tombstones to stop at. Without, a login that is still to
   * store its session is stopped as well. With `mayEnd` only such a session is ended as its last record, and nothing that
   * cannot be told.
   */
  async end(
    key: string,
    known: State,
    deadline: Deadline,
    successor?: string,
    spared?: Reason,
    mayEnd?: (session: Stored) => boolean,
  ): Promise<Ended> {
    const seen = new Set<string>()
    let login: Tombstone | undefined
    for (let at = key, state = known; ; ) {
      const { attempt, seen: now } = await this.#leave(at, state, deadline, successor, mayEnd)
      if (attempt) {
        if (successor === undefined && attempt.record.kind !== 'tombstone') await this.#store.destroy(at, deadline)
        if (attempt.was.kind !== 'tombstone') this.#store.event('destroyed', at)
      } else if (now?.kind === 'tombstone') {
        if (successor !== undefined && now.login) return { ended: false, tombstone: now }
        if (now.reason === spared) return { ended: false }
        // Damaged tombstones may lead in a circle.
        if (seen.has(now.record.version)) return { ended: false }
        seen.add(now.record.version)
        login = now.reason === 'login' || now.reason === 'revoked' ? now : undefined
        at = now.successor
        state = undefined
        continue
      }
      let isStopped = false
      if (login && successor === undefined && !mayEnd) {
        const stopping = await this.#stop(login, deadline)
        isStopped = stopping.attempt !== undefined
        if (!isStopped && stopping.seen?.kind === 'tombstone') {
          at = stopping.seen.key
          state = stopping.seen
          login = undefined
          continue
        }
      }
      const { was, record } = attempt ?? {}
      return {
        ended: attempt !== undefined || isStopped,
        session: was && isLive(was) ? was : undefined,
        tombstone: record?.kind === 'tombstone' ? record : undefined,
      }
    }
  }

  /**
   * Put a tombstone, or nothing, in place of a session. A full store may have no room for a tombstone: to end the session counts
   * more than what a late request finds.
   */
  async #leave(
    key: string,
    known: State,
    deadline: Deadline,
    successor: string | undefined,
    mayEnd?: (session: Stored) => boolean,
  ): Promise<Settled<EndingAttempt>> {
    try {
      return await this.replace(key, ending(key, successor, mayEnd), { deadline, known })
    } catch (error) {
      if (successor === undefined || !isForRoom(error)) throw error
      return this.replace(key, ending(key, undefined, mayEnd), { deadline }).catch(() => {
        throw error
      })
    }
  }

  /** End a tombstone, so that its login cannot store its session any more. */
  async #stop({ key, record }: Tombstone, deadline: Deadline): Promise<Settled<Attempt>> {
    const plan = (now: Stored | null) => (now?.record.version === record.version ? { record: ended(key) } : undefined)
    const settled = await this.replace(key, plan, { deadline })
    if (settled.attempt) await this.#store.destroy(key, deadline)
    return settled
  }

  /**
   * Delete a record whose id was never sent. If the caller's time is over, that goes on behind its back: the record must not
   * stay. A creation without an answer may take effect late, so its record is deleted once more.
   */
  async discard(key: string, deadline: Deadline): Promise<void> {
    const discarding = this.#store.destroy(key, deadline)
    await discarding.catch(() => void this.#discardLate(key))
  }

  async #discardLate(key: string): Promise<void> {
    const { storeTimeout } = this.#store
    for (const wait of [0, storeTimeout]) {
      await new Promise(resolve => setTimeout(resolve, wait).unref())
      // The failure that led here has been told already.
      await this.#store.destroy(key, this.#store.deadline()).catch(() => {})
    }
  }
}

/** A plan that waits for its turn or is being tried. */
class Job {
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
    return this.attempt !== undefined && !this.doubtful.includes(this.attempt)
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
function plan(queue: Job[], state: Stored | null): Job[] {
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
async function prepare(queue: Job[], job: Job, state: Stored | null): Promise<boolean> {
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

async function retreat(jobs: readonly Job[]): Promise<void> {
  for (const job of jobs) if (!job.isOver) await job.undo()
}

function doubt(jobs: readonly Job[]): void {
  for (const job of jobs) if (job.attempt && job.isNew) job.doubtful.push(job.attempt)
}

const latest = (jobs: readonly Job[]): Deadline => Math.max(...jobs.map(({ deadline }) => deadline))

interface EndingAttempt extends Attempt {
  readonly was: Stored
}

const ending =
  (
    key: string,
    successor: string | undefined,
    mayEnd: ((session: Stored) => boolean) | undefined,
  ): Plan<EndingAttempt> =>
  now => {
    if (!now || mayEnd?.(now) === false) return undefined
    if (now.kind === 'tombstone') {
      // One with a subject holds the place of a session that is still to be stored, and must not be one of the subject.
      if (!mayEnd || now.record.subject === undefined) return undefined
      return { record: tombstone(key, now.successor, 'revoked'), was: now }
    }
    return { record: successor === undefined ? ended(key) : tombstone(key, successor, 'login', now), was: now }
  }

/** How file systems, PostgreSQL, MySQL, MongoDB and Redis say that there is no room. */
const noRoom: readonly unknown[] = [
  ...['ENOSPC', 'EDQUOT', 'EFBIG', '53100', '53200'],
  ...['ER_DISK_FULL', 'ER_RECORD_FILE_FULL', 14_031],
]

export function isForRoom(error: unknown): boolean {
  if (!isSessionError(error) || error.code !== 'ERR_SESSION_STORE') return false
  const { code, message } = Object(error.cause) as { code?: unknown; message?: unknown }
  return noRoom.includes(code) || /^-?OOM /.test(String(message))
}

/** The same failure for another request. */
function another(error: unknown): unknown {
  return isSessionError(error) ? new SessionError(error.code, error.message, error.cause) : error
}

/** A random wait that doubles with each lost race, so that contenders spread out. */
export function pause(lost: number): Promise<void> {
  const wait = Math.random() * Math.min(longestPause, 2 ** Math.min(lost, 10))
  return new Promise(resolve => setTimeout(resolve, wait))
}

export const conflict = (): SessionError =>
  new SessionError('ERR_SESSION_CONFLICT', 'the session kept changing until storeTimeout had passed')
