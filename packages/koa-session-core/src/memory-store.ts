import { setImmediate } from 'node:timers/promises'
import { isWhole, OptionCheck } from './check.js'
import type { EnumerableStore, SessionRecord, StoreCall, SweepableStore } from './store.js'
import { sweepDelay } from './sweep-delay.js'
import { throwIfAborted } from './until-aborted.js'

export interface MemoryStoreOptions {
  /**
   * The most sessions to keep. Beyond it the least recently written or touched is dropped.
   * @default 100_000
   */
  readonly maxSessions?: number
}

/** A stored session, linked to its neighbours from the least to the most recently written or touched. */
interface Entry {
  readonly key: string
  data: string
  expiresAt: number
  seenAt: number
  version: string
  subject: string | undefined
  older: Entry
  newer: Entry
}

/** Entries handled before `sweep` and `keys` let other work of the process run. */
const batch = 1_000

/**
 * Sessions in this process's memory: the reference for every other store. They end with the process, and another
 * process does not see them. After `close` the sessions are gone and every other call rejects.
 */
export function memoryStore(options: MemoryStoreOptions = {}): SweepableStore & EnumerableStore {
  const maxSessions = checkedMaxSessions(options)
  const entries = new Map<string, Entry>()
  const keysBySubject = new Map<string, Set<string>>()
  // The head of a ring; it holds no session. The order of a Map would do, but finding a Map's first key walks over the holes
  // of deletions, so in a full store each new session would cost more the larger `maxSessions` is.
  const ends = { key: '' } as Entry
  ends.older = ends.newer = ends
  let closed = false

  function begin(call: StoreCall | undefined): void {
    throwIfAborted(call)
    if (closed) throw new Error('the memory store is closed')
  }

  function live(key: string): Entry | undefined {
    const entry = entries.get(key)
    return entry !== undefined && entry.expiresAt > Date.now() ? entry : undefined
  }

  function put(key: string, { data, expiresAt, seenAt, version, subject }: SessionRecord): void {
    const before = entries.get(key)
    if (before !== undefined) {
      unlink(before)
      if (before.subject !== subject) removeFromSubject(before)
    }
    const entry: Entry = { key, data, expiresAt, seenAt, version, subject, older: ends, newer: ends }
    // Deleting first would make the Map grow and be copied.
    entries.set(key, entry)
    linkNewest(entry)
    if (subject !== undefined) {
      const keys = keysBySubject.get(subject)
      if (keys) keys.add(key)
      else keysBySubject.set(subject, new Set([key]))
    }
    if (entries.size > maxSessions) remove(ends.newer)
  }

  function remove(entry: Entry | undefined): void {
    if (entry === undefined) return
    entries.delete(entry.key)
    unlink(entry)
    removeFromSubject(entry)
  }

  function removeFromSubject({ key, subject }: Entry): void {
    if (subject === undefined) return
    const keys = keysBySubject.get(subject)
    keys?.delete(key)
    if (keys?.size === 0) keysBySubject.delete(subject)
  }

  function linkNewest(entry: Entry): void {
    entry.older = ends.older
    entry.newer = ends
    ends.older.newer = entry
    ends.older = entry
  }

  function unlink(entry: Entry): void {
    entry.older.newer = entry.newer
    entry.newer.older = entry.older
    // An old entry that led to a younger one would keep it from the collection of young garbage.
    entry.older = entry.newer = ends
  }

  return {
    name: 'memory',

    async read(key, call) {
      begin(call)
      const entry = live(key)
      if (entry === undefined) return undefined
      const { data, expiresAt, seenAt, version, subject } = entry
      return subject === undefined
        ? { data, expiresAt, seenAt, version }
        : { data, expiresAt, seenAt, version, subject }
    },

    async write(key, record, expected, call) {
      begin(call)
      const stored = live(key)
      if (stored?.version === record.version) return true
      if ((stored?.version ?? null) !== expected) return false
      if (record.expiresAt > Date.now()) put(key, record)
      else remove(entries.get(key))
      return true
    },

    async touch(key, { seenAt, expiresAt }, expected, call) {
      begin(call)
      const entry = live(key)
      if (entry?.version !== expected) return false
      entry.seenAt = seenAt
      entry.expiresAt = expiresAt
      unlink(entry)
      linkNewest(entry)
      return true
    },

    async destroy(key, call) {
      begin(call)
      remove(entries.get(key))
    },

    async sweep(call) {
      begin(call)
      const latest = Date.now() - sweepDelay
      let examined = 0
      let swept = 0
      // A copy, so that a stream of new sessions cannot keep this walk from ending.
      for (const entry of [...entries.values()]) {
        // Replaced entries are new objects: one that was written meanwhile is not the one met here.
        if (entry.expiresAt <= latest && entries.get(entry.key) === entry) {
          remove(entry)
          swept++
        }
        if (++examined % batch === 0) {
          await setImmediate()
          throwIfAborted(call)
        }
      }
      return swept
    },

    async *keys(call) {
      begin(call)
      let examined = 0
      // A copy, so that a session removed and created again while the caller works is not met twice.
      const found = call?.subject === undefined ? entries.keys() : keysBySubject.get(call.subject)
      for (const key of [...(found ?? [])]) {
        const entry = live(key)
        if (entry && (call?.subject === undefined || entry.subject === call.subject)) yield key
        if (++examined % batch === 0) await setImmediate()
        throwIfAborted(call)
      }
    },

    async close() {
      closed = true
      entries.clear()
      keysBySubject.clear()
      ends.older = ends.newer = ends
    },
  }
}

function checkedMaxSessions(options: MemoryStoreOptions): number {
  const check = new OptionCheck('memoryStore()')
  check.names(options, { known: ['maxSessions'], hints: { max: 'maxSessions', maxsize: 'maxSessions' } })
  const { maxSessions = 100_000 } = options
  const isCount = isWhole(maxSessions, 1, Number.MAX_SAFE_INTEGER)
  check.that('maxSessions', isCount, 'must be a whole number from 1 on', maxSessions)
  check.end()
  return maxSessions
}
