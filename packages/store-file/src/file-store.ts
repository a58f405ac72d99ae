import { resolve } from 'node:path'
import type { EnumerableStore, SessionRecord, StoreCall, SweepableStore } from 'koa-session-core'
import { closable, OptionCheck, storeHints, throwIfAborted, untilAborted } from 'koa-session-core/store'
import { reportSkipped } from './disk.js'
import { entriesIn, shardNames } from './layout.js'
import { SessionCell } from './session-cell.js'
import { isComplete, keysListed, markComplete } from './subject-index.js'
import { sweepDue, sweepShard } from './sweep.js'
import { isLive } from './tag.js'
import { Turns } from './turns.js'

export interface FileStoreOptions {
  /**
   * Directory of the sessions, relative to the working directory at construction. The first write creates it.
   * @default 'sessions'
   */
  readonly directory?: string
}

/** Every so many milliseconds a sweep looks at all sessions, for what was left by killed processes. */
const walkInterval = 3_600_000

/** Sessions in a directory of a local file system, safe across crashes and processes. */
export function fileStore(options: FileStoreOptions = {}): SweepableStore & EnumerableStore {
  const directory = resolve(checkedDirectory(options))
  const turns = new Turns()
  let walkedAt = Number.NEGATIVE_INFINITY

  return closable({
    name: 'file',

    async read(key, call) {
      const cell = new SessionCell(directory, key)
      return untilAborted(call, () => read(cell))
    },

    async write(key, record, expected, call) {
      const cell = new SessionCell(directory, key)
      return turns.take(key, call, () => write(cell, record, expected, call))
    },

    async touch(key, times, expected, call) {
      const cell = new SessionCell(directory, key)
      return turns.take(key, call, async () => {
        for (;;) {
          const { tag } = await cell.list()
          if (!tag || !isLive(tag) || tag.version !== expected) return false
          if (await cell.touch(tag, times)) return true
        }
      })
    },

    async destroy(key, call) {
      const cell = new SessionCell(directory, key)
      return turns.take(key, call, async () => {
        for (;;) {
          const { tag } = await cell.list()
          if (!tag || (await cell.end(tag))) break
        }
        // Flush even if nothing was there: another process may have removed it a moment ago.
        await cell.settle()
      })
    },

    async sweep(call) {
      throwIfAborted(call)
      let swept = await sweepDue(directory, call)
      const now = Date.now()
      if (Math.abs(now - walkedAt) < walkInterval) return swept
      // Start at a random shard, so that aborted sweeps do not always skip the same ones.
      const first = Math.floor(Math.random() * shardNames.length)
      for (const shard of [...shardNames.slice(first), ...shardNames.slice(0, first)]) {
        throwIfAborted(call)
        swept += await sweepShard(directory, `${directory}/${shard}`, call)
      }
      await markComplete(directory)
      walkedAt = now
      return swept
    },

    async *keys(call) {
      const subject = call?.subject
      const isWanted = async (key: string): Promise<boolean> => {
        const { tag } = await new SessionCell(directory, key).list()
        return tag !== undefined && isLive(tag) && (subject === undefined || tag.subject === subject)
      }
      const isIndexed = subject !== undefined && (await isComplete(directory))
      const parts = isIndexed
        ? [keysListed(directory, subject, call)]
        : shardNames.map(name => keysIn(`${directory}/${name}`, call))
      for (const part of parts) {
        throwIfAborted(call)
        // A directory read while it changes may give a name twice.
        const seen = new Set<string>()
        for await (const keys of part) {
          const fresh = keys.filter(key => !seen.has(key) && seen.add(key))
          const wanted = await Promise.all(fresh.map(isWanted))
          for (const [at, key] of fresh.entries()) if (wanted[at]) yield key
        }
      }
    },

    /** Nothing is held open between calls. */
    async close() {},
  })
}

/** The keys of the sessions in a shard, a few at a time. */
async function* keysIn(shard: string, call: StoreCall | undefined): AsyncGenerator<string[]> {
  for await (const entries of entriesIn(shard, call)) {
    const keys: string[] = []
    for (const { path, key, attempt, isDirectory } of entries) {
      if (key === undefined || attempt !== undefined) continue
      if (isDirectory) keys.push(key)
      else reportSkipped(path, 'not a directory')
    }
    yield keys
  }
}

async function read(cell: SessionCell): Promise<SessionRecord | undefined> {
  for (;;) {
    const { tag } = await cell.list()
    if (!tag || !isLive(tag)) return undefined
    const record = await cell.load(tag)
    if (record !== 'changed') return record
  }
}

async function write(
  cell: SessionCell,
  record: SessionRecord,
  expected: string | null,
  call: StoreCall | undefined,
): Promise<boolean> {
  for (;;) {
    throwIfAborted(call)
    const { tag, blocked } = await cell.list()
    const live = tag && isLive(tag) ? tag : undefined
    if (live?.version === record.version) {
      await cell.settle()
      return true
    }
    // Destroy the session without a new file, because the disk may be full.
    if (record.expiresAt <= Date.now() && (expected !== null || !live)) {
      if (expected === null) return true
      if (live?.version !== expected) return false
      if (!(await cell.end(live))) continue
      await cell.settle()
      return true
    }
    if (expected !== null) {
      if (live?.version !== expected) return false
    } else if (live) {
      // A damaged record reads as no session, so one can be made in its place.
      const present = await cell.load(live)
      if (present === 'changed') continue
      if (present !== undefined) return false
    } else if (blocked) {
      throw Object.assign(new Error('ENOTEMPTY: the folder of a session holds foreign files: remove them'), {
        code: 'ENOTEMPTY',
      })
    }
    // An expired tag is taken over like any other.
    const current = tag ?? (await cell.open())
    if (current && (await cell.replace(current, record, call))) return true
  }
}

const names = {
  known: ['directory'],
  hints: {
    ...storeHints('a store that has connections', 'directory'),
    ...{ dir: 'directory', folder: 'directory', path: 'directory' },
  },
}

function checkedDirectory(options: FileStoreOptions): string {
  const check = new OptionCheck('fileStore()')
  check.names(options, names)
  const { directory = 'sessions' } = options
  const isPath = typeof directory === 'string' && directory !== '' && !directory.includes('\0')
  check.that('directory', isPath, 'must be a non-empty string without NUL', directory)
  check.end()
  return directory
}
