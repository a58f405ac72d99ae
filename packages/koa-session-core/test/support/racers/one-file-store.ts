import { mkdirSync, readFileSync, renameSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SessionRecord, Store } from 'koa-session-core'

type Rows = Record<string, SessionRecord>

/** The fault, if any. `record` is to replace `stored`. */
export interface Flaws {
  /** Whether a change holds the lock from its read to its write. */
  readonly locks?: (change: 'create' | 'replace' | 'touch' | 'destroy') => boolean
  /** Whether a write brings back a session that is gone. */
  readonly upserts?: boolean
}

/**
 * A store in one file, by calls that wait, as better-sqlite3 has them: nothing runs between the read and the write, so that
 * one process alone cannot tell whether it locks.
 */
export function oneFileStore(world: string, { locks = () => true, upserts = false }: Flaws = {}): Store {
  const file = join(process.env.RACE_WORLDS ?? '', `${world}.json`)
  let isClosed = false
  const load = (): Rows => {
    try {
      return JSON.parse(readFileSync(file, 'utf8'))
    } catch {
      return {}
    }
  }
  const alive = (row: SessionRecord | undefined) => (row && row.expiresAt > Date.now() ? row : undefined)

  function change<T>(kind: Parameters<typeof locks>[0], work: (rows: Rows) => T): T {
    const isLocked = locks(kind)
    for (let held = !isLocked; !held; ) {
      try {
        mkdirSync(`${file}.lock`)
        held = true
      } catch {
        // Another process has it, for a moment.
      }
    }
    try {
      const rows = load()
      const result = work(rows)
      const temporary = `${file}.${process.pid}`
      writeFileSync(temporary, JSON.stringify(rows))
      renameSync(temporary, file)
      return result
    } finally {
      if (isLocked) rmdirSync(`${file}.lock`)
    }
  }

  const begin = (signal: AbortSignal | undefined) => {
    signal?.throwIfAborted()
    if (isClosed) throw new Error('closed')
  }

  return {
    name: 'one file',
    async read(key, { signal } = {}) {
      begin(signal)
      return alive(load()[key])
    },
    async write(key, record, expected, { signal } = {}) {
      begin(signal)
      return change(expected === null ? 'create' : 'replace', rows => {
        const version = alive(rows[key])?.version ?? null
        if (version === record.version) return true
        if (version !== expected && !(upserts && version === null)) return false
        rows[key] = record
        return true
      })
    },
    async touch(key, times, expected, { signal } = {}) {
      begin(signal)
      return change('touch', rows => {
        const row = alive(rows[key])
        if (row?.version !== expected) return false
        rows[key] = { ...row, ...times }
        return true
      })
    },
    async destroy(key, { signal } = {}) {
      begin(signal)
      change('destroy', rows => {
        delete rows[key]
      })
    },
    async close() {
      isClosed = true
    },
  }
}
