import { mkdirSync, readFileSync, renameSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EnumerableStore, SessionRecord, SweepableStore } from 'koa-session-core'

interface File {
  readonly rows: Record<string, SessionRecord>
  /** Subject and key, of the sessions that have a subject. */
  readonly index: Record<string, true>
}

/** A change of the file. */
type Change = (file: File) => void

export type Method = 'create' | 'recreate' | 'replace' | 'touch' | 'destroy' | 'sweep'

/** What a method found, and how it changes the file. A store that is right does both under one lock. */
interface Plan<T> {
  readonly answer: T
  readonly changes: readonly Change[]
}

/** The fault, if any. */
export interface Flaws {
  /** The methods that decide before they take the lock, so that another process may come between. */
  readonly decidesEarly?: readonly Method[]
  /** The methods that make each of their changes, of the row and of the index, under a lock of its own. */
  readonly changesOneByOne?: readonly Method[]
  /** Which rows a touch that decided early puts back. */
  readonly putsBack?: (row: SessionRecord | undefined, before: SessionRecord) => boolean
  /** Whether a write brings back a session that is gone. */
  readonly upserts?: boolean
  /** Whether a replacement deletes the row before it inserts the new one. */
  readonly insertsLater?: boolean
  /** Whether a write or a touch loses to a touch that came between, or a destroy to a write. */
  readonly givesWay?: Method
  /** Whether a record is read in two parts. */
  readonly readsInParts?: boolean
  /** Whether a read deletes a row that expired long ago. */
  readonly readDeletes?: boolean
  /** Whether a sweep counts what it meant to delete. */
  readonly countsEarly?: boolean
  /** Whether `keys` takes what the index says, without a look at the rows. */
  readonly trustsIndex?: boolean
}

const hour = 3_600_000
const sleeper = new Int32Array(new SharedArrayBuffer(4))
const alive = (row: SessionRecord | undefined) => (row && row.expiresAt > Date.now() ? row : undefined)
const isDue = (row: SessionRecord | undefined) => row !== undefined && row.expiresAt <= Date.now() - hour
const isSame = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other)

/**
 * A store in one file, by calls that wait, as better-sqlite3 has them: nothing runs between the read and the write, so that
 * one process alone cannot tell whether it locks.
 */
export function oneFileStore(world: string, flaws: Flaws = {}): EnumerableStore & SweepableStore {
  const path = join(process.env.RACE_WORLDS ?? '', `${world}.json`)
  let isClosed = false

  const load = (): File => {
    try {
      return JSON.parse(readFileSync(path, 'utf8'))
    } catch {
      return { rows: {}, index: {} }
    }
  }

  function locked<T>(work: (file: File) => T): T {
    for (let held = false; !held; ) {
      try {
        mkdirSync(`${path}.lock`)
        held = true
      } catch {
        // Another process has it, for a moment, and may need the processor.
        Atomics.wait(sleeper, 0, 0, 0.1)
      }
    }
    try {
      const file = load()
      const before = JSON.stringify(file)
      const result = work(file)
      const after = JSON.stringify(file)
      if (after !== before) {
        writeFileSync(`${path}.${process.pid}`, after)
        renameSync(`${path}.${process.pid}`, path)
      }
      return result
    } finally {
      rmdirSync(`${path}.lock`)
    }
  }

  function run<T>(method: Method, plan: (file: File) => Plan<T>): T {
    const isEarly = flaws.decidesEarly?.includes(method)
    if (flaws.changesOneByOne?.includes(method)) {
      const { answer, rest } = locked(file => {
        const { answer, changes } = plan(file)
        changes[0]?.(file)
        return { answer, rest: changes.slice(1) }
      })
      for (const change of rest) {
        // As long as the way to a server and back.
        Atomics.wait(sleeper, 0, 0, 0.3)
        locked(change)
      }
      return answer
    }
    if (!isEarly) {
      return locked(file => {
        const { answer, changes } = plan(file)
        for (const change of changes) change(file)
        return answer
      })
    }
    const { answer, changes } = plan(load())
    if (changes.length > 0) {
      locked(file => {
        for (const change of changes) change(file)
      })
    }
    return answer
  }

  /** Runs a plan unless the row has changed since it was made, in which case it answers with `otherwise`. */
  function unlessChanged<T>(key: string, plan: (file: File) => Plan<T>, otherwise: T): T {
    const early = load()
    const { answer, changes } = plan(early)
    return locked(file => {
      if (!isSame(file.rows[key], early.rows[key])) return otherwise
      for (const change of changes) change(file)
      return answer
    })
  }

  const begin = (signal: AbortSignal | undefined) => {
    signal?.throwIfAborted()
    if (isClosed) throw new Error('closed')
  }

  const listed = (key: string, row: SessionRecord | undefined, isListed: boolean): Change[] => {
    if (row?.subject === undefined) return []
    const entry = `${row.subject} ${key}`
    return [
      ({ index }) => {
        if (isListed) index[entry] = true
        else delete index[entry]
      },
    ]
  }

  const store: EnumerableStore & SweepableStore = {
    name: 'one file',

    async read(key, { signal } = {}) {
      begin(signal)
      const row = load().rows[key]
      if (flaws.readDeletes && isDue(row)) locked(({ rows }) => delete rows[key])
      const record = alive(row)
      return record && flaws.readsInParts ? { ...record, data: load().rows[key]?.data ?? '' } : record
    },

    async write(key, record, expected, { signal } = {}) {
      begin(signal)
      const plan = ({ rows }: File): Plan<boolean> => {
        const row = rows[key]
        const version = alive(row)?.version ?? null
        if (version === record.version) return { answer: true, changes: [] }
        if (version !== expected && !(flaws.upserts && version === null)) return { answer: false, changes: [] }
        const put: Change = ({ rows }) => {
          rows[key] = record
        }
        const remove: Change = ({ rows }) => {
          delete rows[key]
        }
        const entries = [...listed(key, row, false), ...listed(key, record, true)]
        return { answer: true, changes: [...(flaws.insertsLater && row ? [remove] : []), put, ...entries] }
      }
      if (flaws.givesWay === 'replace' && expected !== null) return unlessChanged(key, plan, false)
      const method = expected !== null ? 'replace' : load().rows[key] ? 'recreate' : 'create'
      return run(method, plan)
    },

    async touch(key, times, expected, { signal } = {}) {
      begin(signal)
      const plan = ({ rows }: File): Plan<boolean> => {
        const row = alive(rows[key])
        if (row?.version !== expected) return { answer: false, changes: [] }
        const put: Change = ({ rows }) => {
          if (flaws.putsBack?.(rows[key], row) ?? true) rows[key] = { ...row, ...times }
        }
        return { answer: true, changes: [put] }
      }
      return flaws.givesWay === 'touch' ? unlessChanged(key, plan, false) : run('touch', plan)
    },

    async destroy(key, { signal } = {}) {
      begin(signal)
      const plan = ({ rows }: File): Plan<undefined> => {
        const remove: Change = ({ rows }) => {
          delete rows[key]
        }
        return { answer: undefined, changes: rows[key] ? [remove, ...listed(key, rows[key], false)] : [] }
      }
      if (flaws.givesWay === 'destroy') unlessChanged(key, plan, undefined)
      else run('destroy', plan)
    },

    async sweep({ signal } = {}) {
      begin(signal)
      const due = Object.entries(load().rows).filter(([, row]) => isDue(row))
      let swept = 0
      for (const [key] of due) {
        const plan = ({ rows }: File): Plan<number> => {
          const isThere = isDue(rows[key])
          const remove: Change = ({ rows }) => {
            delete rows[key]
          }
          const changes = isThere ? [remove, ...listed(key, rows[key], false)] : []
          return { answer: isThere || flaws.countsEarly ? 1 : 0, changes }
        }
        swept += run('sweep', plan)
      }
      return swept
    },

    async *keys({ signal, subject } = {}) {
      begin(signal)
      const { rows, index } = load()
      if (subject === undefined) {
        yield* Object.keys(rows).filter(key => alive(rows[key]))
        return
      }
      for (const entry of Object.keys(index)) {
        const [whose, key = ''] = entry.split(' ')
        if (whose === subject && (flaws.trustsIndex || alive(rows[key])?.subject === subject)) yield key
      }
    },

    async close() {
      isClosed = true
    },
  }
  return store
}
