import type { EnumerableStore } from 'koa-session-core'
import { untilAborted } from 'koa-session-core/store'
import { OwnClient } from './client.js'
import { checkedOptions, type RedisStoreOptions } from './options.js'
import { scanKeys } from './scan.js'
import { addToIndex, isRecordLive, readIndex, readRecord, touchRecord, writeRecord } from './scripts.js'

/** How much longer than a session Redis keeps its key, in milliseconds: what clocks of callers may differ by. */
const slack = 60_000

/** Members of an index, or keys of a scan, that are looked at together. */
const batch = 200

/** Sessions in Redis: one server, Sentinel or Cluster. */
export function redisStore(options: RedisStoreOptions): EnumerableStore {
  const { client: given, url, prefix } = checkedOptions(options)
  const opened = given === undefined ? new OwnClient(url) : undefined
  const client = given ?? (opened as OwnClient)

  const recordAt = (key: string): string => prefix + key
  const indexAt = (subject: string): string => `${prefix}subject:${subject}`

  /** Lists `key` under `subject` for twice as long as it lives now, so that a touch seldom has to. Gives until when. */
  async function index(subject: string, key: string, expiresAt: number, now: number): Promise<number> {
    const until = expiresAt + (expiresAt - now)
    await addToIndex.run(client, indexAt(subject), now - slack, lifetime(until, now), key, until)
    return until
  }

  return {
    name: 'redis',

    async read(key, { signal } = {}) {
      const found = await untilAborted(signal, () => readRecord.run(client, recordAt(key), Date.now()))
      if (!found) return undefined
      const [expiresAt, data, seenAt, version, subject] = found as [string, string, string, string, string | null]
      const record = { data, expiresAt: Number(expiresAt), seenAt: Number(seenAt), version }
      return subject === null ? record : { ...record, subject }
    },

    async write(key, { data, expiresAt, seenAt, version, subject }, expected, { signal } = {}) {
      const now = Date.now()
      const ttl = lifetime(expiresAt, now)
      // Before the record: no session of a subject may be missing where its owner ends them all.
      const isListed = subject !== undefined && ttl > 0
      const until = isListed ? await untilAborted(signal, () => index(subject, key, expiresAt, now)) : 0
      const state = [version, data, expiresAt, seenAt, subject ?? '', until]
      const condition = expected === null ? [] : [expected]
      const answer = await untilAborted(signal, () =>
        writeRecord.run(client, recordAt(key), now, ttl, ...state, ...condition),
      )
      return Number(answer) === 1
    },

    async touch(key, { seenAt, expiresAt }, expected, { signal } = {}) {
      const now = Date.now()
      const args = [now, lifetime(expiresAt, now), expected, expiresAt, seenAt]
      const answer = await untilAborted(signal, () => touchRecord.run(client, recordAt(key), ...args))
      if (!isSubject(answer)) return Number(answer) === 1
      const until = await untilAborted(signal, () => index(answer, key, expiresAt, now))
      return Number(await untilAborted(signal, () => touchRecord.run(client, recordAt(key), ...args, until))) === 1
    },

    async destroy(key, { signal } = {}) {
      await untilAborted(signal, () => client.call('del', recordAt(key)))
    },

    async *keys({ signal, subject } = {}) {
      signal?.throwIfAborted()
      const found = subject === undefined ? scanKeys(client, prefix, batch, signal) : listed(subject, signal)
      const condition = subject === undefined ? [] : [subject]
      const seen = new Set<string>()
      for await (const keys of found) {
        const fresh = [...new Set(keys)].filter(key => !seen.has(key))
        const answers = await untilAborted(signal, () =>
          Promise.all(fresh.map(key => isRecordLive.run(client, recordAt(key), Date.now(), ...condition))),
        )
        for (const [n, key] of fresh.entries()) {
          seen.add(key)
          if (Number(answers[n]) !== 1) continue
          yield key
          signal?.throwIfAborted()
        }
      }
    },

    async close() {
      await opened?.close()
    },
  }

  async function* listed(subject: string, signal: AbortSignal | undefined): AsyncIterable<string[]> {
    const members = await untilAborted(signal, () => readIndex.run(client, indexAt(subject), Date.now() - slack))
    for (let n = 0; n < (members as string[]).length; n += batch) yield (members as string[]).slice(n, n + batch)
  }
}

/** For how long Redis keeps what expires then, in milliseconds; 0: it has expired. */
function lifetime(expiresAt: number, now: number): number {
  return expiresAt <= now ? 0 : Math.ceil(expiresAt - now) + slack
}

const isSubject = (answer: unknown): answer is string => typeof answer === 'string' && answer.length === 64
