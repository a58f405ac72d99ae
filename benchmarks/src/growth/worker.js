/**
 * One store with more and more sessions, in a process of its own. Each question names a size: the store is filled up to it,
 * and the answer is the microseconds that each kind of call takes then.
 */
import { hash, randomBytes } from 'node:crypto'
import { stores } from '../apps/our-stores.js'
import { smallSession } from '../apps/sessions.js'
import { multiply } from './multiply.js'

const [storage] = process.argv.slice(2)
const place = { url: process.env.BENCH_URL, folder: process.env.BENCH_FOLDER }
const store = await stores[storage](place)
const data = JSON.stringify(smallSession())
const hour = 3_600_000
const parallel = 16
/** Sessions that were written through the store, which are those that are read and written, and the sessions of a subject. */
const first = 1000
const perSubject = 10

const run = randomBytes(6).toString('hex')
const keyOf = index => hash('sha256', `${run} key ${index}`)
const subjectOf = index => hash('sha256', `${run} subject ${Math.floor(index / perSubject)}`)
const versions = new Map()

async function write(key, { subject, expiresAt = Date.now() + hour } = {}) {
  const version = `${randomBytes(12).toString('base64url')}.${process.hrtime.bigint().toString(36)}`
  const record = { data, expiresAt, seenAt: Date.now(), version, ...(subject && { subject }) }
  if (!(await store.write(key, record, versions.get(key)?.version ?? null))) throw new Error('a write was lost')
  return { version, subject }
}

/** Runs `work` for each number from `start` to `end`, several at once. */
async function each(start, end, work) {
  let next = start
  const one = async () => {
    while (next < end) await work(next++)
  }
  await Promise.all(Array.from({ length: parallel * 4 }, one))
}

let size = 0

async function fill(target) {
  const byStore = async index => {
    const written = await write(keyOf(index), { subject: subjectOf(index) })
    if (index < first) versions.set(keyOf(index), written)
  }
  if (size < first) await each(size, Math.min(first, target), byStore)
  if (target > first) {
    if (multiply[storage]) await multiply[storage](place.url, Math.max(size, first), target)
    else await each(Math.max(size, first), target, byStore)
  }
  size = target
}

/** Microseconds per call, of `lanes` at once, for half a second. No two work on one key. */
async function timed(work, lanes = parallel) {
  const end = performance.now() + 500
  const begun = performance.now()
  let calls = 0
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      for (let step = 0; performance.now() < end; step++) {
        await work(((step * lanes + lane) * 7919) % (first - (first % lanes)))
        calls++
        // Work in memory would keep the clock from its turn.
        if (storage === 'memory') await new Promise(setImmediate)
      }
    }),
  )
  return ((performance.now() - begun) * 1000) / calls
}

const kinds = {
  read: () =>
    timed(async index => {
      if (!(await store.read(keyOf(index)))) throw new Error('a session is gone')
    }),
  write: () =>
    timed(async index => {
      const key = keyOf(index)
      versions.set(key, await write(key, versions.get(key)))
    }),
  list: () =>
    timed(async index => {
      let found = 0
      for await (const key of store.keys({ subject: subjectOf(index) })) if (key) found++
      if (found !== perSubject) throw new Error(`a subject has ${found} sessions`)
    }, 1),
  async sweep() {
    if (!store.sweep) return undefined
    const { now } = Date
    // Sessions that expired two hours ago: a sweep leaves them alone for an hour.
    Date.now = () => now() - 2 * hour
    await each(0, 500, () => write(hash('sha256', randomBytes(16)), { expiresAt: Date.now() + 60_000 }))
    Date.now = now
    const begun = performance.now()
    const swept = await store.sweep()
    if (swept < 500) throw new Error(`a sweep removed ${swept} of 500`)
    return ((performance.now() - begun) * 1000) / swept
  },
}

async function measure() {
  const costs = {}
  for (const kind of Object.keys(kinds)) {
    const samples = []
    for (let pass = 0; pass < 4; pass++) samples.push(await kinds[kind]())
    // The first one warms up.
    costs[kind] = samples.slice(1).sort((a, b) => a - b)[1]
  }
  return costs
}

process.on('message', async target => {
  const isFirst = size === 0
  await fill(target)
  // Compiles what is hot: the smallest size is the one that others are compared with.
  if (isFirst) await measure()
  process.send(await measure())
})
process.on('disconnect', () => process.exit())
process.send('ready')
