/**
 * Two stores in one place, in a process of their own: one with more and more sessions, and beside it one that keeps the
 * fewest. Each question names a size: the first store is filled up to it, and the answer is the microseconds that each kind
 * of call takes then, in both.
 */
import { hash, randomBytes } from 'node:crypto'
import { stores } from '../apps/our-stores.js'
import { smallSession } from '../apps/sessions.js'
import { multiply } from './multiply.js'
import { settle } from './settle.js'

const [storage] = process.argv.slice(2)
const place = { url: process.env.BENCH_URL, folder: process.env.BENCH_FOLDER }
const data = JSON.stringify(smallSession())
const hour = 3_600_000
const parallel = 16
const passes = 7
/** Sessions that were written through the store, which are those that are read and written, and the sessions of a subject. */
const first = 1000
const perSubject = 10

const run = randomBytes(6).toString('hex')
const keyOf = index => hash('sha256', `${run} key ${index}`)
const subjectOf = index => hash('sha256', `${run} subject ${Math.floor(index / perSubject)}`)

/** Runs `work` for each number from `start` to `end`, several at once. */
async function each(start, end, work) {
  let next = start
  const one = async () => {
    while (next < end) await work(next++)
  }
  await Promise.all(Array.from({ length: parallel * 4 }, one))
}

class Growing {
  #store
  #versions = new Map()
  #size = 0

  constructor(store) {
    this.#store = store
  }

  async fill(target) {
    const byStore = async index => {
      const written = await this.#put(keyOf(index), { subject: subjectOf(index) })
      if (index < first) this.#versions.set(keyOf(index), written)
    }
    if (this.#size < first) await each(this.#size, Math.min(first, target), byStore)
    const from = Math.max(this.#size, first)
    if (multiply[storage] && target > from) await multiply[storage](place.url, from, target)
    else await each(from, target, byStore)
    this.#size = target
  }

  async read() {
    return timed(async index => {
      if (!(await this.#store.read(keyOf(index)))) throw new Error('a session is gone')
    })
  }

  async write() {
    return timed(async index => {
      const key = keyOf(index)
      this.#versions.set(key, await this.#put(key, this.#versions.get(key)))
    })
  }

  async list() {
    return timed(async index => {
      let found = 0
      for await (const key of this.#store.keys({ subject: subjectOf(index) })) if (key) found++
      if (found !== perSubject) throw new Error(`a subject has ${found} sessions`)
    }, 1)
  }

  async sweep() {
    if (!this.#store.sweep) return undefined
    const { now } = Date
    // Sessions that expired two hours ago: a sweep leaves them alone for an hour.
    Date.now = () => now() - 2 * hour
    await each(0, 500, () => this.#put(hash('sha256', randomBytes(16)), { expiresAt: Date.now() + 60_000 }))
    Date.now = now
    const begun = performance.now()
    const swept = await this.#store.sweep()
    if (swept < 500) throw new Error(`a sweep removed ${swept} of 500`)
    return ((performance.now() - begun) * 1000) / swept
  }

  async #put(key, { subject, expiresAt = Date.now() + hour } = {}) {
    const version = `${randomBytes(12).toString('base64url')}.${process.hrtime.bigint().toString(36)}`
    const record = { data, expiresAt, seenAt: Date.now(), version, ...(subject && { subject }) }
    if (!(await this.#store.write(key, record, this.#versions.get(key)?.version ?? null)))
      throw new Error('a write was lost')
    return { version, subject }
  }
}

/** Microseconds per call, of `lanes` at once, for a quarter of a second. No two work on one key. */
async function timed(work, lanes = parallel) {
  const end = performance.now() + 250
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

// The databases of one Redis have tables of keys of their own.
const beside = storage === 'redis' ? { ...place, url: `${place.url}/1` } : place
const large = new Growing(await stores[storage](place))
const small = new Growing(await stores[storage]({ ...beside, name: 'bench_few_sessions' }))

/** The samples of both stores by kind of call; they take turns, so that a busy moment of the machine meets both. */
async function measure() {
  const samples = {}
  for (const kind of ['read', 'write', 'list', 'sweep']) {
    samples[kind] = []
    for (let pass = 0; pass < passes; pass++) {
      const few = await small[kind]()
      if (few !== undefined) samples[kind].push({ few, many: await large[kind]() })
    }
  }
  return samples
}

let isWarm = false
process.on('message', async target => {
  await large.fill(target)
  await settle[storage]?.(place.url)
  if (!isWarm) {
    await small.fill(first)
    await measure()
    isWarm = true
  }
  process.send(await measure())
})
process.on('disconnect', () => process.exit())
process.send('ready')
