import type { EnumerableStore } from 'koa-session-core'
import { closable, type Explaining, lastError, untilAborted } from 'koa-session-core/store'
import { OwnClient, type RedisClient } from './client.js'
import { checkedOptions, type RedisStoreOptions } from './options.js'
import { scanKeys } from './scan.js'
import type { Script } from './script.js'
import { destroyRecord, judgeRecord, readRecord, touchRecord, writeRecord } from './scripts.js'
import { isSettled, type Listed, SubjectIndex, slack } from './subject-index.js'

/** Number of scanned keys that are checked together. */
const batch = 200

/** Up to this many members are checked one by one. */
const fewMembers = 50

/** The reply of a script that changes a record, as described in scripts.ts. */
type Answer = readonly [status: number, subject?: string, listing?: string]

/** Sessions in Redis: one server, Sentinel or Cluster. */
export function redisStore(options: RedisStoreOptions): EnumerableStore {
  const { client: given, url, prefix } = checkedOptions(options)
  const opened = given === undefined ? new OwnClient(url) : undefined
  const client: RedisClient = given ?? (opened as OwnClient)
  const index = new SubjectIndex(client, prefix)

  const recordAt = (key: string): string => prefix + key

  /** Runs a script that changes the record under `key`, and removes the listing that became obsolete. */
  async function change(script: Script, key: string, ...args: (string | number)[]): Promise<Answer> {
    const answer = (await script.run(client, recordAt(key), ...args)) as Answer
    const [status, subject, listing] = answer
    if (status < 2 && subject !== undefined && listing !== undefined) index.remove(subject, { key, listing })
    return answer
  }

  return closable<EnumerableStore & Explaining>({
    name: 'redis',

    async read(key, { signal } = {}) {
      const found = await untilAborted(signal, () =>
        readRecord.run(client, recordAt(key), Date.now()).catch(unlessForeign(foreign)),
      )
      if (!found) return undefined
      const [expiresAt, data, seenAt, version, subject] = found as [string, string, string, string, string | null]
      const record = { data, expiresAt: Number(expiresAt), seenAt: Number(seenAt), version }
      return subject === null ? record : { ...record, subject }
    },

    async write(key, { data, expiresAt, seenAt, version, subject = '' }, expected, { signal } = {}) {
      const condition = expected === null ? [] : [expected]
      const attempt = (listing: string, until: number) => {
        const now = Date.now()
        const state = [version, data, expiresAt, seenAt, subject, listing, until]
        const args = [now, lifetime(expiresAt, now), ...state, ...condition]
        return untilAborted(signal, () => change(writeRecord, key, ...args))
      }
      const list = (listing?: string) => untilAborted(signal, () => index.add(subject, key, expiresAt, listing))
      // List the session before writing its record, so that `revokeAll` misses none.
      const isNew = expected === null && subject !== '' && expiresAt > Date.now()
      const [status, , listing = ''] = await (isNew ? attempt(...(await list())) : attempt('', 0))
      if (status === 2) return (await attempt(...(await list(listing || undefined))))[0] > 0
      // It is listed long enough, unless the server has lost the index.
      if (status === 3) index.restore(subject, { key, listing }, expiresAt, recordAt(key)).catch(() => {})
      return status > 0
    },

    async touch(key, { seenAt, expiresAt }, expected, { signal } = {}) {
      const attempt = (...listed: (string | number)[]) => {
        const now = Date.now()
        const args = [now, lifetime(expiresAt, now), expected, expiresAt, seenAt, ...listed]
        return untilAborted(signal, () => change(touchRecord, key, ...args))
      }
      const [status, subject = '', listing] = await attempt()
      if (status !== 2) return status === 1
      const listed = await untilAborted(signal, () => index.add(subject, key, expiresAt, listing || undefined))
      return (await attempt(subject, ...listed))[0] === 1
    },

    async destroy(key, { signal } = {}) {
      await untilAborted(signal, () => change(destroyRecord, key))
    },

    async *keys(call = {}) {
      const { subject } = call
      call.signal?.throwIfAborted()
      const found = subject === undefined ? scanKeys(client, prefix, batch, call) : index.members(subject, call)
      const seen = new Set<string>()
      for await (const page of found) {
        const verdicts = await untilAborted(call.signal, () => judge(page, subject))
        const stale = page.filter((listed, n) => verdicts[n] === -1 && isSettled(listed))
        if (subject !== undefined) index.remove(subject, ...stale)
        for (const [n, { key }] of page.entries()) {
          if (verdicts[n] !== 1 || seen.has(key)) continue
          seen.add(key)
          yield key
          call.signal?.throwIfAborted()
        }
      }
    },

    async close() {
      await opened?.close()
    },

    [lastError]: () => (opened ? opened.lastError : client.stream?.errored),
  })

  /** The results of judgeRecord for each listing. */
  async function judge(listed: readonly Listed[], subject: string | undefined): Promise<number[]> {
    const names = listed.map(({ key }) => recordAt(key))
    // An index may be full of sessions that are gone. A Cluster takes no command on keys of several nodes.
    const isLong = names.length > fewMembers && client.nodes === undefined
    if (isLong && Number(await client.call('exists', ...names)) === 0) return names.map(() => -1)
    const now = Date.now()
    const args = [now, now - slack, ...(subject === undefined ? [] : [subject])]
    const verdictOn = (name: string) => judgeRecord.run(client, name, ...args).catch(unlessForeign(0))
    return Promise.all(names.map(async name => Number(await verdictOn(name))))
  }
}

/** In place of what a script reads where another program has put a value of another type. The core cannot decode it. */
const foreign = [Number.MAX_SAFE_INTEGER, '', 0, '', null]

/** Such a value is no failure of Redis. */
function unlessForeign(answer: unknown): (error: unknown) => unknown {
  return error => {
    if (String((error as Partial<Error> | null)?.message).includes('WRONGTYPE')) return answer
    throw error
  }
}

/** For how long Redis keeps what expires then, in milliseconds; 0: it has expired. */
function lifetime(expiresAt: number, now: number): number {
  return expiresAt <= now ? 0 : Math.ceil(expiresAt - now) + slack
}
