import { lookup } from 'node:dns'
import { readdirSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { EnumerableStore, SessionRecord, Store, SweepableStore } from 'koa-session-core'

export type FullStore = SweepableStore & EnumerableStore
/** The error of a broken store where a correct one answers. */
export class BackendError extends Error {}

type Rows = Map<string, SessionRecord>

/** A fault: members that replace those of a correct store. They can access its table. */
type Flaw = (store: FullStore, rows: Rows) => { [Member in keyof FullStore]?: FullStore[Member] | undefined }

const alive = (row: SessionRecord | undefined) => (row && row.expiresAt > Date.now() ? row : undefined)

const isDue = ({ expiresAt }: Pick<SessionRecord, 'expiresAt'>) => expiresAt <= Date.now() - 3_600_000

/** A right store beside the memory store, made another way: expired rows stay until they are swept. */
function tableStore(rows: Rows): FullStore {
  let isClosed = false
  const begin = () => {
    if (isClosed) throw new BackendError('closed')
  }
  const { read, write, touch, destroy, sweep, keys } = withoutClose(rows)
  return {
    name: 'table',
    read: async (...args) => (begin(), read(...args)),
    write: async (...args) => (begin(), write(...args)),
    touch: async (...args) => (begin(), touch(...args)),
    destroy: async (...args) => (begin(), destroy(...args)),
    sweep: async (...args) => (begin(), sweep(...args)),
    async *keys(call) {
      begin()
      yield* keys(call)
    },
    async close() {
      isClosed = true
    },
  }
}

function withoutClose(rows: Rows): Omit<FullStore, 'close'> {
  return {
    name: 'table',
    async read(key, call) {
      call?.signal?.throwIfAborted()
      const row = alive(rows.get(key))
      return row && { ...row }
    },
    async write(key, record, expected, call) {
      call?.signal?.throwIfAborted()
      const version = alive(rows.get(key))?.version ?? null
      if (version === record.version) return true
      if (version !== expected) return false
      rows.set(key, { ...record })
      return true
    },
    async touch(key, times, expected, call) {
      call?.signal?.throwIfAborted()
      const row = alive(rows.get(key))
      if (row?.version !== expected) return false
      rows.set(key, { ...row, ...times })
      return true
    },
    async destroy(key, call) {
      call?.signal?.throwIfAborted()
      rows.delete(key)
    },
    async sweep(call) {
      call?.signal?.throwIfAborted()
      const expired = [...rows].filter(([, row]) => isDue(row)).slice(0, 500)
      for (const [key] of expired) rows.delete(key)
      return expired.length
    },
    async *keys({ signal, subject } = {}) {
      signal?.throwIfAborted()
      for (const key of [...rows.keys()]) {
        const row = alive(rows.get(key))
        if (row && (subject === undefined || row.subject === subject)) yield key
      }
    },
  }
}

/** Stores as several processes see one backend: the same world is the same table. */
export function storesWith(flaw: Flaw): (world: string) => Store {
  const worlds = new Map<string, Rows>()
  return world => {
    const rows = worlds.get(world) ?? new Map()
    worlds.set(world, rows)
    const store = tableStore(rows)
    return { ...store, ...flaw(store, rows) } as Store
  }
}

const readingAs =
  (change: (record: SessionRecord) => unknown): Flaw =>
  store => ({
    async read(key, call) {
      const record = await store.read(key, call)
      return record && (change(record) as SessionRecord)
    },
  })

const writingAs =
  (change: (record: SessionRecord, stored: SessionRecord | undefined) => SessionRecord): Flaw =>
  (store, rows) => ({
    write: (key, record, ...rest) => store.write(key, change(record, rows.get(key)), ...rest),
  })

const keyedAs =
  (change: (key: string) => string): Flaw =>
  store => ({
    read: (key, ...rest) => store.read(change(key), ...rest),
    write: (key, ...rest) => store.write(change(key), ...rest),
    touch: (key, ...rest) => store.touch(change(key), ...rest),
    destroy: (key, ...rest) => store.destroy(change(key), ...rest),
  })

/** Compares versions by `same` where a right store compares them exactly. */
const comparing =
  (same: (stored: string, expected: string) => boolean): Flaw =>
  (store, rows) => {
    const exact = (key: string, expected: string) => {
      const stored = rows.get(key)?.version
      return stored !== undefined && same(stored, expected) ? stored : expected
    }
    return {
      write: (key, record, expected, call) =>
        store.write(key, record, expected === null ? null : exact(key, expected), call),
      touch: (key, times, expected, call) => store.touch(key, times, exact(key, expected), call),
    }
  }

/** Checks the condition, lets others run, and then writes without looking again. */
const checkThenSet =
  (applies: (record: SessionRecord, expected: string | null) => boolean): Flaw =>
  (store, rows) => ({
    async write(key, record, expected, call) {
      if (!applies(record, expected)) return store.write(key, record, expected, call)
      const version = alive(rows.get(key))?.version ?? null
      await pause(2)
      if (version !== expected) return version === record.version
      rows.set(key, record)
      return true
    },
  })

const lostUpdate: Flaw = (store, rows) => ({
  async write(key, record, expected, call) {
    if (expected === null || !alive(rows.get(key))) return store.write(key, record, expected, call)
    rows.set(key, record)
    return true
  },
})

const upsert: Flaw = (store, rows) => ({
  write: (key, record, expected, call) => store.write(key, record, alive(rows.get(key)) ? expected : null, call),
})

/** Each store keeps what it read until it writes there itself. */
const staleCache: Flaw = store => {
  const cache = new Map<string, SessionRecord | undefined>()
  const forgetting =
    <Args extends [string, ...unknown[]], Result>(method: (...args: Args) => Result) =>
    (...args: Args) => {
      cache.delete(args[0])
      return method(...args)
    }
  return {
    async read(key, call) {
      if (!cache.has(key)) cache.set(key, await store.read(key, call))
      return cache.get(key)
    },
    write: forgetting(store.write),
    touch: forgetting(store.touch),
    destroy: forgetting(store.destroy),
  }
}

const touchIgnoringVersion: Flaw = (store, rows) => ({
  touch: (key, times, _, call) => store.touch(key, times, rows.get(key)?.version ?? '', call),
})

const touchCreating: Flaw = (store, rows) => ({
  async touch(key, times, expected, call) {
    if (alive(rows.get(key))) return store.touch(key, times, expected, call)
    rows.set(key, { data: '{}', version: expected, ...times })
    return true
  },
})

/** Reads the record, lets others run, and writes all of it back with new times. */
const touchRewriting: Flaw = (_, rows) => ({
  async touch(key, times, expected) {
    const row = alive(rows.get(key))
    if (row?.version !== expected) return false
    await pause(2)
    rows.set(key, { ...row, ...times })
    return true
  },
})

const destroyLate: Flaw = (_, rows) => ({
  async destroy(key) {
    void pause(3).then(() => rows.delete(key))
  },
})

const writeLate: Flaw = (_, rows) => ({
  async write(key, record, expected) {
    const won = (alive(rows.get(key))?.version ?? null) === expected
    if (won) void pause(3).then(() => withoutClose(rows).write(key, record, expected))
    return won
  },
})

const answeringWrongly: Flaw = store => ({
  async write(key, record, expected, call) {
    await store.write(key, record, expected, call)
    return true
  },
})

/** Answers reads with the data of the record before, as when a row is read in two steps. */
const tornRead: Flaw = (store, rows) => ({
  async read(key, call) {
    const data = rows.get(key)?.data
    await pause(1)
    const record = await store.read(key, call)
    return record && data !== undefined ? { ...record, data } : record
  },
})

const endingWithoutCondition: Flaw = (store, rows) => ({
  async write(key, record, expected, call) {
    if (record.expiresAt > Date.now()) return store.write(key, record, expected, call)
    rows.delete(key)
    return true
  },
})

/** Goes by rows that have expired as if they lived. */
const expiryOnlyInRead: Flaw = (_, rows) => ({
  async write(key, record, expected) {
    const version = rows.get(key)?.version ?? null
    if (version === record.version) return true
    if (version !== expected) return false
    rows.set(key, record)
    return true
  },
  async touch(key, times, expected) {
    const row = rows.get(key)
    if (row?.version !== expected) return false
    rows.set(key, { ...row, ...times })
    return true
  },
})

const expiringAt =
  (change: (expiresAt: number) => number): Flaw =>
  store => {
    const asked = new Map<number, number>()
    const changed = <T extends { readonly expiresAt: number }>(times: T): T => {
      const expiresAt = change(times.expiresAt)
      asked.set(expiresAt, times.expiresAt)
      return { ...times, expiresAt }
    }
    return {
      async read(key, call) {
        const record = await store.read(key, call)
        return record && { ...record, expiresAt: asked.get(record.expiresAt) ?? record.expiresAt }
      },
      write: (key, record, expected, call) => store.write(key, changed(record), expected, call),
      touch: (key, times, expected, call) => store.touch(key, changed(times), expected, call),
    }
  }

/** An index of subjects beside the table, as stores without a query language keep it, and its usual mistakes. */
const indexed =
  (mistake: 'never removed' | 'before the condition' | 'late'): Flaw =>
  (store, rows) => {
    const index = indexes.get(rows) ?? new Map<string, Set<string>>()
    indexes.set(rows, index)
    const add = (key: string, subject: string | undefined) => {
      if (subject !== undefined) index.set(subject, (index.get(subject) ?? new Set()).add(key))
    }
    return {
      async write(key, record, expected, call) {
        const before = rows.get(key)?.subject
        if (mistake === 'before the condition') add(key, record.subject)
        const won = await store.write(key, record, expected, call)
        if (mistake === 'late') await pause(2)
        if (!won) return false
        if (mistake !== 'never removed' && before !== undefined && before !== record.subject)
          index.get(before)?.delete(key)
        add(key, record.subject)
        return true
      },
      async *keys(call) {
        if (call?.subject === undefined) return yield* store.keys(call)
        for (const key of index.get(call.subject) ?? []) if (alive(rows.get(key))) yield key
      },
    }
  }
const indexes = new WeakMap<Rows, Map<string, Set<string>>>()

const listing =
  (change: (keys: string[], subject: string | undefined, rows: Rows) => Iterable<string>): Flaw =>
  (store, rows) => ({
    async *keys(call) {
      const keys: string[] = []
      for await (const key of store.keys(call)) keys.push(key)
      yield* change(keys, call?.subject, rows)
    },
  })

/** Sweeps by an index of its own, which only these methods change after the creation. */
const byIndex =
  ({ moves, looksAgain = false }: { moves: ('touch' | 'write')[]; looksAgain?: boolean }): Flaw =>
  (store, rows) => {
    if (!dues.has(rows)) dues.set(rows, new Map())
    const index = dues.get(rows) as Map<string, number>
    return {
      async write(key, record, expected, call) {
        const isWritten = await store.write(key, record, expected, call)
        if (isWritten && (expected === null || moves.includes('write'))) index.set(key, record.expiresAt)
        return isWritten
      },
      async touch(key, times, expected, call) {
        const isTouched = await store.touch(key, times, expected, call)
        if (isTouched && moves.includes('touch')) index.set(key, times.expiresAt)
        return isTouched
      },
      async sweep() {
        let swept = 0
        for (const [key, expiresAt] of [...index]) {
          if (!isDue({ expiresAt })) continue
          index.delete(key)
          const row = rows.get(key)
          if (row && (!looksAgain || isDue(row)) && rows.delete(key)) swept++
        }
        return swept
      },
    }
  }
const dues = new WeakMap<Rows, Map<string, number>>()

const withoutSignal = (method: 'read' | 'write' | 'touch' | 'destroy' | 'sweep' | 'keys'): Record<string, Flaw> => ({
  'the signal is ignored': store => ({
    [method]: (...args: unknown[]) => {
      const kept = args.filter(arg => !(typeof arg === 'object' && arg !== null && 'signal' in arg))
      return (store[method] as (...args: unknown[]) => unknown)(...kept)
    },
  }),
  'the error is another than the reason': store => ({
    [method]: (...args: unknown[]) => {
      const aborted = args.some(arg => (arg as { signal?: AbortSignal } | null)?.signal?.aborted)
      if (aborted && method !== 'keys') return Promise.reject(new Error('aborted'))
      if (aborted) throw new BackendError('aborted')
      return (store[method] as (...args: unknown[]) => unknown)(...args)
    },
  }),
})

/** A store that is right but for what it does while it is made. */
const begins = (_work: unknown) => ({})

/** For each case, by its title, stores that it must catch, by what is wrong with them. */
export const brokenStores: Record<string, Record<string, Flaw>> = {
  'reading a key that was never written is undefined': {
    'null instead of undefined': store => ({
      read: async (key, call) => (await store.read(key, call)) ?? (null as unknown as undefined),
    }),
    'unknown is an error': store => ({
      async read(key, call) {
        const record = await store.read(key, call)
        if (!record) throw new BackendError('not found')
        return record
      },
    }),
  },
  'a record comes back exactly as it was written, times as numbers and subject included': {
    'times are strings': readingAs(record => ({ ...record, expiresAt: String(record.expiresAt) })),
    'times are bigints': readingAs(record => ({ ...record, seenAt: BigInt(record.seenAt) })),
    'times are whole seconds': writingAs(record => ({
      ...record,
      expiresAt: Math.floor(record.expiresAt / 1e3) * 1e3,
    })),
    'a time of 0 counts as missing': readingAs(record => ({ ...record, seenAt: record.seenAt || Date.now() })),
    'fields of the backend come along': readingAs(record => ({ ...record, _id: 1 })),
    'the subject is lost': readingAs(({ subject, ...record }) => record),
  },
  'a record without a subject comes back without one': {
    'null subject': readingAs(record => ({ ...record, subject: record.subject ?? null })),
    'undefined subject': readingAs(record => ({ ...record, subject: record.subject })),
  },
  'a write can give, change and take away the subject': {
    'a subject once given stays': writingAs((record, stored) => ({ ...stored, ...record })),
    'the first subject stays': writingAs((record, stored) =>
      stored?.subject === undefined ? record : { ...record, subject: stored.subject },
    ),
  },
  'data come back character by character, in any script, and even if empty': {
    'normalized accents': writingAs(record => ({ ...record, data: record.data.normalize() })),
    trimmed: writingAs(record => ({ ...record, data: record.data.trim() })),
    'trailing space cut, as in CHAR columns': writingAs(record => ({
      ...record,
      data: record.data.replace(/ +$/, ''),
    })),
    'three-byte characters at most': writingAs(record => ({
      ...record,
      data: record.data.replace(/[^\0-\uffff]/gu, '?'),
    })),
    'byte order mark eaten': readingAs(record => ({
      ...record,
      data: new TextDecoder().decode(new TextEncoder().encode(record.data)),
    })),
    'backslashes eaten': writingAs(record => ({ ...record, data: record.data.replace(/\\(.)/g, '$1') })),
    'empty is taken for missing': readingAs(record => ({ ...record, data: record.data || '{}' })),
    'text that looks like JSON is parsed': readingAs(record => {
      try {
        return { ...record, data: JSON.parse(record.data) ?? undefined }
      } catch {
        return record
      }
    }),
  },
  'data of one megabyte come back whole': {
    'cut at 64 KiB': writingAs(record => ({ ...record, data: record.data.slice(0, 65_535) })),
    'cut when replaced': writingAs((record, stored) =>
      stored ? { ...record, data: record.data.slice(0, 1e6) } : record,
    ),
    'refused above 1,000,000 characters': store => ({
      async write(key, record, ...rest) {
        if (record.data.length > 1e6) throw new BackendError('too large')
        return store.write(key, record, ...rest)
      },
    }),
  },
  'a version is any text of up to 36 ASCII characters': {
    'cut at 32': writingAs(record => ({ ...record, version: record.version.slice(0, 32) })),
    'kept as a number': writingAs(record => ({ ...record, version: String(Number(record.version) || record.version) })),
    'a placeholder inside is filled in': writingAs(record => ({
      ...record,
      version: record.version.replace('?', '1'),
    })),
  },
  'a session may live as long as a Date can tell': {
    '32 bits of seconds': writingAs(record => ({ ...record, expiresAt: Math.min(record.expiresAt, 2 ** 32 * 1_000) })),
    '32 bits of seconds in touch': store => ({
      touch: (key, { seenAt, expiresAt }, ...rest) =>
        store.touch(key, { seenAt, expiresAt: Math.min(expiresAt, 2 ** 32 * 1_000) }, ...rest),
    }),
    'an overflow means expired': readingAs(record => (record.expiresAt > 2 ** 50 ? undefined : record)),
  },
  'a record that its caller changes after writing or reading it does not change in the store': {
    'write keeps the object': (_, rows) => ({
      async write(key, record) {
        rows.set(key, record)
        return true
      },
    }),
    'read hands out the object': (_, rows) => ({ read: async key => rows.get(key) }),
  },
  'keys are told apart by every character': {
    'the last character is cut': keyedAs(key => key.slice(0, 63)),
    'only the first half counts': keyedAs(key => key.slice(0, 32)),
    'only the second half counts': keyedAs(key => key.slice(32)),
    'digits are compared as numbers': keyedAs(key => (Number.isNaN(Number(key)) ? key : String(Number(key)))),
    'destroy goes by a prefix': (store, rows) => ({
      async destroy(key) {
        for (const each of [...rows.keys()]) if (each.startsWith(key.slice(0, 32))) await store.destroy(each)
      },
    }),
  },
  'a world sees nothing of another': {
    'all worlds are one': () => tableStore(everywhere),
    'destroy reaches into other worlds': (_, rows) => {
      tables.add(rows)
      return {
        async destroy(key) {
          for (const each of tables) each.delete(key)
        },
      }
    },
  },
  'what one store has done, every other store on the world sees at once': {
    'a cache of reads': staleCache,
    'destroy resolves early': destroyLate,
    'write resolves early': writeLate,
    'touch resolves early': (_, rows) => ({
      async touch(...args) {
        void pause(3).then(() => withoutClose(rows).touch(...args))
        return true
      },
    }),
  },
  'creating, a write with expected null, is false where a session lives, and changes nothing': {
    'create replaces': store => ({
      async write(key, record, ...rest) {
        await store.destroy(key)
        return store.write(key, record, ...rest)
      },
    }),
    'true where nothing was done': store => ({
      async write(...args) {
        await store.write(...args)
        return true
      },
    }),
    'losing is an error': store => ({
      async write(...args) {
        if (await store.write(...args)) return true
        throw new BackendError('duplicate key')
      },
    }),
  },
  'a write at the stored version replaces the whole record': {
    'seenAt of before is kept': writingAs((record, stored) => ({ ...record, seenAt: stored?.seenAt ?? record.seenAt })),
    'expiresAt only grows': writingAs((record, stored) => ({
      ...record,
      expiresAt: Math.max(record.expiresAt, stored?.expiresAt ?? 0),
    })),
    'a subject once given stays': writingAs((record, stored) => ({ ...stored, ...record })),
    'the version is that of the first write': writingAs((record, stored) => ({
      ...record,
      version: stored?.version ?? record.version,
    })),
  },
  'a write at another version than the stored one is false and changes nothing': {
    'expected is ignored': lostUpdate,
    'the answer is true': answeringWrongly,
    'the loser moves the expiry': (store, rows) => ({
      async write(key, record, ...rest) {
        const won = await store.write(key, record, ...rest)
        const row = rows.get(key)
        if (row) rows.set(key, { ...row, expiresAt: record.expiresAt })
        return won
      },
    }),
    'the loser changes the subject': (store, rows) => ({
      async write(key, record, ...rest) {
        const won = await store.write(key, record, ...rest)
        const row = rows.get(key)
        if (row && record.subject) rows.set(key, { ...row, subject: record.subject })
        return won
      },
    }),
  },
  'a write that expects a version where no session lives is false and creates nothing': {
    upsert,
    'an empty version counts as null': store => ({
      write: (key, record, expected, call) => store.write(key, record, expected || null, call),
    }),
    'created, though the answer is false': (store, rows) => ({
      async write(key, record, ...rest) {
        const won = await store.write(key, record, ...rest)
        if (!rows.has(key)) rows.set(key, record)
        return won
      },
    }),
  },
  'versions are compared exactly, by write and by touch': {
    'case does not count': comparing((stored, expected) => stored.toLowerCase() === expected.toLowerCase()),
    'trailing space does not count': comparing((stored, expected) => stored === expected.trimEnd()),
    'leading space does not count': comparing((stored, expected) => stored === expected.trimStart()),
    'a prefix is enough': comparing((stored, expected) => expected !== '' && stored.startsWith(expected)),
    'more is enough': comparing((stored, expected) => expected.startsWith(stored)),
    'LIKE instead of =': comparing((stored, expected) =>
      new RegExp(`^${expected.replaceAll('%', '.*').replaceAll('_', '.').replaceAll(/[*\\]/g, '')}$`).test(stored),
    ),
    'an empty version means any': comparing((_, expected) => expected === ''),
    'a write counts as sent again whatever its case': (store, rows) => ({
      async write(key, record, ...rest) {
        if (rows.get(key)?.version.toLowerCase() === record.version.toLowerCase()) return true
        return store.write(key, record, ...rest)
      },
    }),
  },
  'a write sent twice is true both times and does its work once': {
    'the second create loses': (store, rows) => ({
      write: async (key, record, expected, call) =>
        !(expected === null && rows.has(key)) && store.write(key, record, expected, call),
    }),
    'the second replacement loses': (store, rows) => ({
      write: async (key, record, expected, call) =>
        !(expected !== null && rows.get(key)?.version !== expected) && store.write(key, record, expected, call),
    }),
    'the second does the work again': (store, rows) => ({
      async write(key, record, ...rest) {
        if (rows.get(key)?.version === record.version) rows.delete(key)
        return store.write(key, record, rows.has(key) ? rest[0] : null)
      },
    }),
  },
  'a write sent again after somebody else wrote is false and changes nothing': {
    'all versions there ever were are remembered': store => {
      const past = new Set<string>()
      return {
        async write(key, record, ...rest) {
          if (past.has(record.version)) return true
          const won = await store.write(key, record, ...rest)
          if (won) past.add(record.version)
          return won
        },
      }
    },
    'a create that comes again replaces': (store, rows) => {
      const creates = new Set<string>()
      return {
        async write(key, record, expected, call) {
          if (creates.has(record.version)) rows.delete(key)
          if (expected === null) creates.add(record.version)
          return store.write(key, record, expected, call)
        },
      }
    },
  },
  'destroying ends the session, at any version; where there is none it resolves just so': {
    'destroy of nothing is an error': (store, rows) => ({
      async destroy(key, call) {
        if (!rows.has(key)) throw new BackendError('not found')
        return store.destroy(key, call)
      },
    }),
    'destroy does nothing': () => ({ destroy: async () => {} }),
    'destroy ends everything': (_, rows) => ({ destroy: async () => rows.clear() }),
    'destroy says whether there was one': (_, rows) => ({
      destroy: async key => rows.delete(key) as unknown as undefined,
    }),
  },
  'after destroy no write or touch at an earlier version brings the session back': {
    'write is an upsert': upsert,
    'touch creates': touchCreating,
    'a write sent again is an upsert': store => {
      const seen = new Set<string>()
      return {
        write(key, record, expected, call) {
          const again = seen.has(record.version)
          seen.add(record.version)
          return store.write(key, record, again ? null : expected, call)
        },
      }
    },
  },
  'a destroyed key can be created anew, and nothing of the old session is left': {
    'destroyed keys are blocked': store => {
      const dead = new Set<string>()
      return {
        write: async (key, ...rest) => !dead.has(key) && store.write(key, ...rest),
        async destroy(key, ...rest) {
          dead.add(key)
          return store.destroy(key, ...rest)
        },
      }
    },
    'the subject stays': (store, rows) => {
      const graves = new Map<string, SessionRecord | undefined>()
      return {
        write: (key, record, ...rest) => store.write(key, { ...graves.get(key), ...record }, ...rest),
        async destroy(key, ...rest) {
          graves.set(key, rows.get(key))
          return store.destroy(key, ...rest)
        },
      }
    },
    'the old version still counts': comparing(() => true),
  },
  'touch moves seenAt and expiresAt, and nothing else': {
    'seenAt stays': (store, rows) => ({
      touch: (key, times, ...rest) => store.touch(key, { ...times, seenAt: rows.get(key)?.seenAt ?? 0 }, ...rest),
    }),
    'expiresAt stays': (store, rows) => ({
      touch: (key, times, ...rest) => store.touch(key, { ...times, expiresAt: rows.get(key)?.expiresAt ?? 0 }, ...rest),
    }),
    'expiresAt only grows': (store, rows) => ({
      touch: (key, { seenAt, expiresAt }, ...rest) =>
        store.touch(key, { seenAt, expiresAt: Math.max(expiresAt, rows.get(key)?.expiresAt ?? 0) }, ...rest),
    }),
    'the subject is lost': (store, rows) => ({
      async touch(key, ...rest) {
        const done = await store.touch(key, ...rest)
        const { subject, ...row } = rows.get(key) as SessionRecord
        rows.set(key, row)
        return done
      },
    }),
    'false where no row changed': (store, rows) => ({
      touch: async (key, times, ...rest) =>
        rows.get(key)?.expiresAt !== times.expiresAt && store.touch(key, times, ...rest),
    }),
  },
  'touch keeps the version: a write that read before the touch still wins': {
    'a new version': (store, rows) => ({
      async touch(key, ...rest) {
        const done = await store.touch(key, ...rest)
        rows.set(key, { ...(rows.get(key) as SessionRecord), version: 'touched' })
        return done
      },
    }),
    'the times of the touch stay': (store, rows) => {
      const touched = new Map<string, number>()
      return {
        write: (key, record, ...rest) =>
          store.write(key, { ...record, seenAt: touched.get(key) ?? record.seenAt }, ...rest),
        touch(key, times, ...rest) {
          touched.set(key, times.seenAt)
          return store.touch(key, times, ...rest)
        },
        destroy: async key => void (rows.delete(key) && touched.delete(key)),
      }
    },
  },
  'touch at another version than the stored one is false and changes nothing': {
    'expected is ignored': touchIgnoringVersion,
    'expected is ignored for an end': (store, rows) => ({
      async touch(key, times, ...rest) {
        if (times.expiresAt > Date.now()) return store.touch(key, times, ...rest)
        return rows.delete(key)
      },
    }),
    'the answer is true': store => ({
      async touch(...args) {
        await store.touch(...args)
        return true
      },
    }),
  },
  'touch where no session lives is false and creates nothing': {
    'touch creates': touchCreating,
    'the answer is true': store => ({
      async touch(...args) {
        await store.touch(...args)
        return true
      },
    }),
    'a row without data is left': (store, rows) => ({
      async touch(key, times, ...rest) {
        if (!rows.has(key)) rows.set(key, { data: '', version: '', ...times })
        return store.touch(key, times, ...rest)
      },
    }),
  },
  'until the instant expiresAt a session lives': {
    'a second early': expiringAt(expiresAt => expiresAt - 1_000),
    'whole seconds, rounded down': expiringAt(expiresAt => Math.floor(expiresAt / 1e3) * 1e3),
    'a tenth of a second early': expiringAt(expiresAt => expiresAt - 90),
  },
  'from the instant expiresAt on a session does not exist for read, write and touch': {
    'one millisecond late': expiringAt(expiresAt => expiresAt + 1),
    'whole seconds, rounded up': expiringAt(expiresAt => Math.ceil(expiresAt / 1e3 + 1) * 1e3),
    'expiry is checked by read only': expiryOnlyInRead,
    'expiry is never checked': (_, rows) => ({ read: async key => rows.get(key) }),
  },
  'no write or touch at its version brings an expired session back': {
    'expiry is checked by read only': expiryOnlyInRead,
    'write only': (store, rows) => ({ write: expiryOnlyInRead(store, rows).write }),
    'touch only': (store, rows) => ({ touch: expiryOnlyInRead(store, rows).touch }),
    upsert,
  },
  'creating over an expired session is true, and nothing of the old one is left': {
    'the dead row is in the way': (store, rows) => ({
      write: async (key, record, expected, call) =>
        !(expected === null && rows.has(key)) && store.write(key, record, expected, call),
    }),
    'the subject stays': writingAs((record, stored) => ({ ...stored, ...record })),
    'the next creator wins too': (store, rows) => ({
      async write(key, record, expected, call) {
        if (expected === null) rows.delete(key)
        return store.write(key, record, expected, call)
      },
    }),
  },
  'a write of an already expired record at the stored version ends the session for good': {
    'an expired record is refused': store => ({
      write: async (key, record, ...rest) => record.expiresAt > Date.now() && store.write(key, record, ...rest),
    }),
    'an expired record is skipped': store => ({
      write: async (key, record, ...rest) => record.expiresAt <= Date.now() || store.write(key, record, ...rest),
    }),
    'no time left means no end': expiringAt(expiresAt => (expiresAt <= Date.now() ? 8.64e15 : expiresAt)),
    'zero means no end': expiringAt(expiresAt => expiresAt || 8.64e15),
    'the ended row can be touched': expiryOnlyInRead,
    'the next write is an upsert': upsert,
  },
  'a write of an already expired record at another version is false and ends nothing': {
    'ending takes no version': endingWithoutCondition,
    'the answer is true': store => ({
      write: async (key, record, ...rest) =>
        (await store.write(key, record, ...rest)) || record.expiresAt <= Date.now(),
    }),
  },
  'a write of an already expired record with expected null where no session lives is true and leaves nothing': {
    'the answer is false': store => ({
      write: async (key, record, ...rest) => (await store.write(key, record, ...rest)) && record.expiresAt > Date.now(),
    }),
    'no time left means no end': expiringAt(expiresAt => (expiresAt <= Date.now() ? 8.64e15 : expiresAt)),
    'the answer is always true': endingWithoutCondition,
    'the key is blocked': expiryOnlyInRead,
  },
  'a touch to an instant already past ends the session for good': {
    refused: store => ({
      touch: async (key, times, ...rest) => times.expiresAt > Date.now() && store.touch(key, times, ...rest),
    }),
    ignored: store => ({
      touch: async (key, times, ...rest) => times.expiresAt <= Date.now() || store.touch(key, times, ...rest),
    }),
    'zero means no end': expiringAt(expiresAt => expiresAt || 8.64e15),
    'the ended row can be touched': (store, rows) => ({ touch: expiryOnlyInRead(store, rows).touch }),
    'the ended row can be written': (store, rows) => ({ write: expiryOnlyInRead(store, rows).write }),
  },
  'a touch or write that came in time replaces the expiry of before, later or earlier': {
    'the first expiry stays in force': store => {
      const first = new Map<string, number>()
      return {
        async read(key, call) {
          const record = await store.read(key, call)
          return (first.get(key) ?? 0) > Date.now() ? record : undefined
        },
        write(key, record, ...rest) {
          first.set(key, first.get(key) ?? record.expiresAt)
          return store.write(key, record, ...rest)
        },
      }
    },
    'the latest expiry stays in force': (store, rows) => ({
      touch: (key, { seenAt, expiresAt }, ...rest) =>
        store.touch(key, { seenAt, expiresAt: Math.max(expiresAt, rows.get(key)?.expiresAt ?? 0) }, ...rest),
    }),
    'a timer set by the first write': (store, rows) => ({
      async write(key, record, expected, call) {
        const won = await store.write(key, record, expected, call)
        if (won && expected === null && record.expiresAt - Date.now() < 5_000) {
          void pause(record.expiresAt - Date.now()).then(() => rows.delete(key))
        }
        return won
      },
    }),
  },
  'a store has a name, for errors and events': {
    'no name': () => ({ name: undefined }),
    'an empty name': () => ({ name: '' }),
  },
  'a store has sweep exactly when its capabilities name it': { 'declared, but missing': () => ({ sweep: undefined }) },
  'a store has keys exactly when its capabilities name it': { 'declared, but missing': () => ({ keys: undefined }) },
  'close is idempotent, even if it is called twice at once': {
    'the second call rejects': () => {
      let closed = false
      return {
        async close() {
          if (closed) throw new BackendError('closed twice')
          closed = true
        },
      }
    },
    'a call while closing rejects': () => {
      let closing = false
      return {
        async close() {
          if (closing) throw new BackendError('already closing')
          closing = true
          await pause(1)
          closing = false
        },
      }
    },
  },
  'a store that was never used closes as well': {
    'close of what was never opened': store => {
      let opened = false
      return {
        write(...args) {
          opened = true
          return store.write(...args)
        },
        async close() {
          if (!opened) throw new BackendError('not open')
        },
      }
    },
  },
  'two stores on one world see the same data exactly when the capabilities name shared': {
    'named, but each store has data of its own': () => tableStore(new Map()),
  },
  'opening a store does no I/O and starts no timer': {
    'a timer': store => {
      const timer = setInterval(() => {}, 1_000)
      return {
        async close() {
          clearInterval(timer)
          return store.close()
        },
      }
    },
    'a timer that keeps no process alive': () => begins(setTimeout(() => {}, 10).unref()),
    'a connection': store => {
      const socket = connect({ host: '127.0.0.1', port: 9 }).on('error', () => {})
      return {
        async close() {
          socket.destroy()
          return store.close()
        },
      }
    },
    'a question to the resolver': () => begins(lookup('localhost', () => {})),
    'a file, read in a call that waits': () => begins(readdirSync('.')),
    'a file, by way of a promise': () => begins(readdir('.')),
    'a file, a moment later': () => begins(Promise.resolve().then(() => readdir('.'))),
  },
  'after close every other call rejects': Object.fromEntries(
    (['read', 'write', 'touch', 'destroy', 'sweep', 'keys'] as const).map(method => [
      `${method} works on`,
      (_, rows) => ({ [method]: withoutClose(rows)[method] }),
    ]),
  ),
  'closing one store leaves the data and the other stores on the world alone': {
    'close removes the data': (_, rows) => ({ close: async () => rows.clear() }),
    'close closes them all': (store, rows) => ({
      async read(...args) {
        if (closed.has(rows)) throw new BackendError('closed')
        return store.read(...args)
      },
      close: async () => void closed.add(rows),
    }),
    'nothing is shared': () => tableStore(new Map()),
  },
  'read rejects with the reason of a signal already aborted and does nothing': withoutSignal('read'),
  'write rejects with the reason of a signal already aborted and does nothing': {
    ...withoutSignal('write'),
    'the work is done before': (store, rows) => ({
      async write(key, record, expected, call) {
        rows.set(key, record)
        return store.write(key, record, expected, call)
      },
    }),
  },
  'write with expected null rejects with the reason of a signal already aborted and does nothing': {
    ...withoutSignal('write'),
    'the work is done before': (store, rows) => ({
      async write(key, record, expected, call) {
        if (expected === null) rows.set(key, record)
        return store.write(key, record, expected, call)
      },
    }),
  },
  'touch rejects with the reason of a signal already aborted and does nothing': {
    ...withoutSignal('touch'),
    'the work is done before': (store, rows) => ({
      async touch(key, times, expected, call) {
        const row = rows.get(key)
        if (row) rows.set(key, { ...row, ...times })
        return store.touch(key, times, expected, call)
      },
    }),
  },
  'destroy rejects with the reason of a signal already aborted and does nothing': {
    ...withoutSignal('destroy'),
    'the work is done before': (store, rows) => ({
      async destroy(key, call) {
        rows.delete(key)
        return store.destroy(key, call)
      },
    }),
  },
  'sweep rejects with the reason of a signal already aborted and does nothing': withoutSignal('sweep'),
  'keys rejects with the reason of a signal already aborted and does nothing': withoutSignal('keys'),
  'a signal that is not aborted changes nothing': {
    'any signal stops read': store => ({ read: async (key, call) => (call ? undefined : store.read(key)) }),
    'any signal stops write': store => ({
      write: async (key, record, expected, call) => !call && store.write(key, record, expected),
    }),
    'any signal stops touch': store => ({
      touch: async (key, times, expected, call) => Boolean(call) || store.touch(key, times, expected),
    }),
    'any signal stops destroy': store => ({ destroy: async (key, call) => (call ? undefined : store.destroy(key)) }),
  },
  'a call aborted on the way is answered or rejected with the reason, and later calls work': {
    'an error of its own': store => ({
      async read(key, call) {
        await pause(1)
        if (call?.signal?.aborted) throw new BackendError('aborted')
        return store.read(key, call)
      },
    }),
    'an aborted call breaks the store': store => {
      let broken = false
      return {
        async touch(key, times, expected, call) {
          await pause(1)
          broken ||= call?.signal?.aborted ?? false
          return store.touch(key, times, expected)
        },
        async write(...args) {
          if (broken) throw new BackendError('broken')
          return store.write(...args)
        },
      }
    },
  },
  'keys yields every live session once, with a subject only those of that subject': {
    'the subject is ignored': listing((_keys, _subject, rows) => rows.keys()),
    twice: listing(keys => [...keys, ...keys.slice(0, 1)]),
    'without a subject no listing': listing((keys, subject) => (subject === undefined ? [] : keys)),
    'sessions without a subject are left out': listing((keys, _, rows) => keys.filter(key => rows.get(key)?.subject)),
    'an unknown subject lists all': listing((keys, _, rows) => (keys.length > 0 ? keys : rows.keys())),
    'keys with the prefix of the backend': listing(keys => keys.map(key => `session:${key}`)),
  },
  'keys follows the subject as writes give, change and take it away': {
    'the index is never cleaned': indexed('never removed'),
    'a session without subject is left out': listing((keys, _, rows) => keys.filter(key => rows.get(key)?.subject)),
  },
  'a write or touch that lost, and a touch that won, leave a session under its subject': {
    'the index is written before the condition is checked': indexed('before the condition'),
    'touch loses the subject': (store, rows) => ({
      async touch(key, ...rest) {
        const done = await store.touch(key, ...rest)
        const row = rows.get(key)
        if (done && row) rows.set(key, { ...row, subject: '' })
        return done
      },
    }),
  },
  'keys yields no session that has expired, was ended or was destroyed': {
    'the dead are listed': listing((_, subject, rows) =>
      subject === undefined ? rows.keys() : [...rows].flatMap(([key, row]) => (row.subject === subject ? [key] : [])),
    ),
    'the destroyed are listed': (store, rows) => {
      const destroyed: string[] = []
      return {
        async destroy(key, call) {
          destroyed.push(key)
          return store.destroy(key, call)
        },
        keys: listing(keys => [...keys, ...destroyed])(store, rows).keys,
      }
    },
  },
  'a session created where one had ended is listed under the new subject only': {
    'the index is never cleaned': indexed('never removed'),
  },
  'keys yields hundreds of sessions, each once': {
    'the first page only': listing(keys => keys.slice(0, 100)),
    'one too many at the border of two pages': listing(keys => [...keys, ...keys.slice(99, 100)]),
    'the first page of a subject only': listing((keys, subject) => (subject === undefined ? keys : keys.slice(0, 100))),
  },
  'a session that lives throughout is listed once, even while it and others are written': {
    'pages by offset, rows move': (store, rows) => ({
      async write(key, record, ...rest) {
        const won = await store.write(key, record, ...rest)
        const row = rows.get(key)
        if (won && row) rows.delete(key) && rows.set(key, row)
        return won
      },
      async *keys() {
        for (let offset = 0; offset < rows.size; offset++) yield [...rows.keys()][offset] as string
      },
    }),
    'the same row met again where it moved': (store, rows) => ({
      async write(key, record, ...rest) {
        const won = await store.write(key, record, ...rest)
        const row = rows.get(key)
        if (won && row) rows.delete(key) && rows.set(key, row)
        return won
      },
      async *keys() {
        let met = 0
        for (const key of rows.keys()) if (met++ < 200) yield key
      },
    }),
  },
  'leaving the loop over keys early leaves the store usable': {
    'the next loop goes on where the last one ended': (_, rows) => {
      let running: string[] | undefined
      return {
        async *keys() {
          running ??= [...rows.keys()]
          for (let key = running.shift(); key !== undefined; key = running.shift()) yield key
          running = undefined
        },
      }
    },
    'each loop keeps a connection': store => {
      let free = 10
      return {
        async *keys(call) {
          if (free-- <= 0) throw new BackendError('no connection left')
          yield* store.keys(call)
          free++
        },
      }
    },
  },
  'however writes race, keys agrees with the record that won': {
    'the index is written before the condition is checked': indexed('before the condition'),
    'the index is never cleaned': indexed('never removed'),
  },
  'sweep deletes what expired an hour ago, says how many, and spares the live': {
    'the number is wrong': store => ({ sweep: async call => (await store.sweep(call)) && 1 }),
    'nothing is deleted': (_, rows) => ({ sweep: async () => [...rows.values()].filter(isDue).length }),
    'everything is deleted': (_, rows) => ({
      async sweep() {
        const { size } = rows
        rows.clear()
        return size
      },
    }),
    'the live lose their subject': (store, rows) => ({
      async sweep(call) {
        for (const [key, { subject, ...row }] of rows) rows.set(key, row)
        return store.sweep(call)
      },
    }),
  },
  'sweep goes by the expiry that a touch or write gave last, later or earlier': {
    'touch leaves the index of sweep alone': byIndex({ moves: ['write'] }),
    'write leaves the index of sweep alone': byIndex({ moves: ['touch'] }),
    'a touched session is spared, and lost from the index': byIndex({ moves: ['write'], looksAgain: true }),
    'a written session is spared, and lost from the index': byIndex({ moves: ['touch'], looksAgain: true }),
  },
  'a clock that is fast ends no session for good: once it is right again, the session is there': {
    'swept as soon as it has expired': (_, rows) => ({
      async sweep() {
        const expired = [...rows].filter(([, row]) => !alive(row))
        for (const [key] of expired) rows.delete(key)
        return expired.length
      },
    }),
    'deleted by a read that finds it expired': (store, rows) => ({
      async read(key, call) {
        if (!alive(rows.get(key))) rows.delete(key)
        return store.read(key, call)
      },
    }),
    'deleted by a touch that comes too late': (store, rows) => ({
      async touch(key, ...rest) {
        if (!alive(rows.get(key))) rows.delete(key)
        return store.touch(key, ...rest)
      },
    }),
    'deleted by a listing': (store, rows) => ({
      async *keys(call) {
        for (const [key, row] of rows) if (!alive(row)) rows.delete(key)
        yield* store.keys(call)
      },
    }),
    'deleted by the next write': (store, rows) => ({
      async write(...args) {
        for (const [key, row] of rows) if (!alive(row)) rows.delete(key)
        return store.write(...args)
      },
    }),
  },
  'sweeping on until it says 0 deletes more than a thousand expired sessions': {
    'one batch and never again': store => {
      let done = false
      return {
        async sweep(call) {
          const swept = done ? 0 : await store.sweep(call)
          done ||= swept > 0
          return swept
        },
      }
    },
  },
  'sweeps at the same time count each expired session once': {
    'counted first, deleted later': (store, rows) => ({
      async sweep() {
        const expired = [...rows].filter(([, row]) => isDue(row)).map(([key]) => key)
        await pause(1)
        for (const key of expired) await store.destroy(key)
        return expired.length
      },
    }),
  },
  'a session created over an expired one survives a sweep at the same time': {
    'looked up first, deleted later': (store, rows) => ({
      async sweep() {
        const expired = [...rows].filter(([, row]) => isDue(row)).map(([key]) => key)
        await pause(1)
        for (const key of expired) await store.destroy(key)
        return expired.length
      },
    }),
  },
  'of many creators at the same time exactly one gets true, and its record is there': {
    'checks, then sets': checkThenSet((_, expected) => expected === null),
    'the first wins, the last is kept': (store, rows) => ({
      async write(key, record, ...rest) {
        const won = await store.write(key, record, ...rest)
        rows.set(key, record)
        return won
      },
    }),
  },
  'of many writers at the same version exactly one gets true, and its record is there': {
    'checks, then sets': checkThenSet((_, expected) => expected !== null),
    'expected is ignored': lostUpdate,
  },
  'a write sent twice at the same time is true both times': {
    'looks for its own version before it loses only': (store, rows) => ({
      async write(key, record, expected, call) {
        if (rows.get(key)?.version === record.version) return true
        await pause(1)
        if (rows.get(key)?.version === record.version) return false
        return store.write(key, record, expected, call)
      },
    }),
  },
  'a counter raised by compare-and-set from several stores misses nothing': {
    'checks, then sets': checkThenSet((_, expected) => expected !== null),
    'expected is ignored, writing takes time': (_, rows) => ({
      async write(key, record) {
        await pause(1)
        rows.set(key, record)
        return true
      },
    }),
  },
  'a touch at the same time as a write does not make it lose, and leaves no trace in its record': {
    'touch writes the whole record back': touchRewriting,
    'touch ignores the version': touchIgnoringVersion,
    'a row that is being touched is locked for others': (store, rows) => ({
      async touch(key, ...rest) {
        locked.add(rows)
        await pause(1)
        locked.delete(rows)
        return store.touch(key, ...rest)
      },
      write: async (...args) => !locked.has(rows) && store.write(...args),
    }),
  },
  'after a destroy the session stays dead, even if writes and touches ran at the same time': {
    'write checks, then sets': checkThenSet((_, expected) => expected !== null),
    'touch writes the whole record back': touchRewriting,
    'write is an upsert': upsert,
  },
  'of an end and other writes at the same version exactly one wins': {
    'an end checks, then sets': checkThenSet(record => record.expiresAt <= Date.now()),
    'an end takes no version': endingWithoutCondition,
  },
  'sessions written at the same time do not disturb each other': {
    'one buffer for all': (store, rows) => ({
      async write(key, record, ...rest) {
        buffer.set(rows, record)
        await pause(1)
        return store.write(key, buffer.get(rows) ?? record, ...rest)
      },
    }),
  },
  'random calls of several clients at the same time have one order that explains every answer': {
    'expected is ignored': lostUpdate,
    'a cache of reads': staleCache,
    'write checks, then sets': checkThenSet(() => true),
    'destroy resolves early': destroyLate,
    'write resolves early': writeLate,
    'touch writes the whole record back': touchRewriting,
    'touch ignores the version': touchIgnoringVersion,
    'touch creates': touchCreating,
    'write is an upsert': upsert,
    'a write that lost is true': answeringWrongly,
    'an end takes no version': endingWithoutCondition,
    'a read is two reads': tornRead,
  },
}
const everywhere: Rows = new Map()
const tables = new Set<Rows>()
const closed = new WeakSet<Rows>()
const locked = new WeakSet<Rows>()
const buffer = new WeakMap<Rows, SessionRecord>()

const never = () => new Promise<never>(() => {})
const throws = (): never => {
  throw new BackendError('thrown, not rejected')
}

/** Stores that would keep a case from ending, or from failing with a message of its own. */
export const misbehaviours: Record<string, (store: FullStore) => Store | Promise<Store>> = {
  ...Object.fromEntries(
    ['read', 'write', 'touch', 'destroy', 'sweep', 'close'].flatMap(method => [
      [`${method} never settles`, (store: FullStore) => ({ ...store, [method]: never })],
      [`${method} throws`, (store: FullStore) => ({ ...store, [method]: throws })],
      [`${method} gives no promise`, (store: FullStore) => ({ ...store, [method]: () => true as never })],
    ]),
  ),
  'write never wins': store => ({ ...store, write: async () => false }),
  'only creating wins': store => ({
    ...store,
    write: async (key, record, expected, call) => expected === null && store.write(key, record, null, call),
  }),
  'write never loses': store => ({ ...store, write: async () => true }),
  'sweep always finds one more': store => ({ ...store, sweep: async () => 1 }),
  'sweep resolves to nothing': store => ({ ...store, sweep: async () => undefined as never }),
  'keys begins and never yields': store => ({
    ...store,
    async *keys() {
      yield await never()
    },
  }),
  'keys never ends': store => ({
    ...store,
    async *keys() {
      for (let n = 0; ; n++) yield n.toString(16).padStart(64, '0')
    },
  }),
  'keys yields the same for ever': store => ({
    ...store,
    async *keys() {
      for (;;) yield '0'.repeat(64)
    },
  }),
  'keys lists what was destroyed, so that a listing grows while it is read': store => {
    const all: string[] = []
    return {
      ...store,
      write(key, ...rest) {
        all.push(key)
        return store.write(key, ...rest)
      },
      async *keys() {
        for (const key of all) yield key
      },
    }
  },
  'keys never ends when it is left': store => ({
    ...store,
    keys(call: Parameters<FullStore['keys']>[0]) {
      const iterator = store.keys(call)[Symbol.asyncIterator]()
      return { [Symbol.asyncIterator]: () => ({ next: () => iterator.next(), return: never }) }
    },
  }),
  'keys gives an array': store => ({ ...store, keys: () => [] as never }),
  'keys gives a promise': store => ({ ...store, keys: async () => [] as never }) as never,
  'keys throws': store => ({ ...store, keys: throws }),
  'read hands out something else': store => ({ ...store, read: async () => 'a record' as never }),
  'reading and writing fails': store => ({
    ...store,
    read: () => Promise.reject(new BackendError('down')),
    write: () => Promise.reject(new BackendError('down')),
  }),
  'create never settles': () => never(),
  'create rejects': async () => throws(),
  'create throws': throws,
  'create gives no store': () => 'redis://127.0.0.1' as never,
  'create gives half a store': ({ read, write }) => ({ read, write }) as never,
}
