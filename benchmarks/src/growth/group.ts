import { Child } from '../harness/child.js'
import { environmentOf, placeOf } from '../harness/servers.js'
import { median, spread } from '../harness/statistics.js'
import { table } from '../harness/table.js'
import { storages } from '../http/contenders.js'

/** `STORES=postgres,mysql` measures these only. */
const chosen = storages.filter(storage => process.env.STORES?.split(',').includes(storage) ?? true)
const sizes = (process.env.SIZES ?? '1000,100000,1000000').split(',').map(Number)

/** The limit for files, for SQLite, for memory (by its `maxSessions`) and for the stand-in for MongoDB. */
const most: Partial<Record<string, number>> = { memory: 100_000, file: 100_000, sqlite: 100_000, mongo: 100_000 }

/** Microseconds per call in the store that grows and, right before, in one beside it that has 1,000 sessions. */
interface Sample {
  readonly few: number
  readonly many: number
}

const kinds = ['read', 'write', 'list', 'sweep'] as const
type Samples = Record<(typeof kinds)[number], Sample[]>

/** Measures store calls with more and more sessions in the store. */
export async function growth(): Promise<string> {
  if (!sizes.every(size => size >= 1000)) throw new TypeError('SIZES must be whole numbers from 1000 on, with commas')
  const rows: string[][] = []
  for (const storage of chosen) {
    const place = await placeOf(storage)
    if (place === undefined) continue
    const child = new Child(new URL('worker.js', import.meta.url), [storage], { env: environmentOf(place) })
    const samples = new Map<number, Samples>()
    try {
      await child.answer()
      for (const size of sizes)
        if (size <= (most[storage] ?? Infinity)) samples.set(size, await child.ask<Samples>(size))
      await child.end()
    } catch (error) {
      // The figures of the other stores took long, and must not be lost with it.
      console.error(`growth of ${storage}:`, error)
    }
    for (const kind of kinds) {
      const own = sizes.map(size => samples.get(size)?.[kind] ?? [])
      const last = own.findLast(({ length }) => length > 0)
      if (last === undefined) continue
      const figures = own.map(some => (some.length > 0 ? median(some.map(({ many }) => many)).toFixed(0) : ''))
      rows.push([`${storage} ${kind}`, ...figures, spread(last.map(({ few, many }) => many / few))])
    }
  }
  const counts = sizes.map(size => size.toLocaleString('en'))
  return [
    'Microseconds per call of the store alone, with so many sessions in it: read and write of one session, 16 at once; list of a',
    'subject that has ten, one at a time; a sweep of 500 expired ones, per session swept. Redis expires sessions by itself.',
    'Growth: at the last size, to a store beside it in the same server that has 1,000; both take turns. The median and, in',
    'brackets, the quartiles.',
    '',
    table(['', ...counts, 'growth'], rows),
  ].join('\n')
}
