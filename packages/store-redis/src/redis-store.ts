import type { EnumerableStore, SessionRecord, StoreCall } from 'koa-session-core'
import { closable, type Explaining, lastError, throwIfAborted, untilAborted } from 'koa-session-core/store'
import type { Commands, RedisClient } from './clients.js'
import { ioredisCommands } from './ioredis.js'
import { isNodeRedis, nodeRedisCommands } from './node-redis.js'
import { OpenedClient } from './opened-client.js'
import { checkedOptions, type RedisStoreOptions } from './options.js'
import { decode, decodeHash, encode, encodeVersion, foreign } from './record.js'
import { scanKeys } from './scan.js'
import type { Script } from './script.js'
import { destroyRecord, judgeRecord, readRecord, slack, touchRecord, writeRecord } from './scripts.js'
import { isSettled, type Listed, SubjectIndex } from './subject-index.js'

/** Number of scanned keys that are checked together. */
const batch = 200

/** Up to this many members are checked one by one. */
const fewMembers = 50

/** The reply of a script that changes a record, as described in scripts.ts. */
type Answer = number | readonly [status: number, subject: string, listing: string]

/** Sessions in Redis: one server, Sentinel or Cluster. */
export function redisStore(options: RedisStoreOptions): EnumerableStore {
  const { client: given, url, prefix } = checkedOptions(options)
  const opened = given === undefined ? new OpenedClient(url) : undefined
  const client: Commands = opened ?? commandsOf(given as RedisClient)
  const index = new SubjectIndex(client, prefix)

  const recordAt = (key: string): string => prefix + key

  /** Runs a script that changes the record under `key`, and removes the listing that became obsolete. */
  function change(call: StoreCall | undefined, script: Script, key: string, ...args: string[]): Promise<Answer> {
    return untilAborted(call, async () => {
      const answer = (await script.run(client, recordAt(key), Date.now(), ...args)) as Answer
      if (typeof answer === 'object' && answer[0] < 2) index.remove(answer[1], { key, listing: answer[2] })
      return answer
    })
  }

  const readByScript = (key: string): Promise<SessionRecord | undefined> =>
    readRecord.run(client, recordAt(key)).then(unpack, unlessForeign(foreign))

  const read = (key: string): Promise<SessionRecord | undefined> =>
    client.call('get', recordAt(key)).then(unpack, error => {
      // Perhaps a record of the first layout.
      if (isWrongType(error)) return readByScript(key)
      throw client.reasonFor(error)
    })

  return closable<EnumerableStore & Explaining>({
    name: 'redis',

    read: (key, call) => untilAborted(call, () => (client.readsReplicas ? readByScript(key) : read(key))),

    async write(key, record, expected, call) {
      const { subject, expiresAt } = record
      const condition = expected === null ? [] : [encodeVersion(expected)]
      const attempt = (listed?: [string, number]) =>
        change(call, writeRecord, key, encode(record, listed), ...condition)
      if (!subject) return statusOf(await attempt()) > 0
      const list = (listing?: string) => untilAborted(call, () => index.add(subject, key, expiresAt, listing))
      // List the session before writing its record, so that `revokeAll` misses none.
      const isNew = expected === null && expiresAt > Date.now()
      const answer = await attempt(isNew ? await list() : undefined)
      const [status, , listing = ''] = typeof answer === 'object' ? answer : [answer]
      if (status === 2) return statusOf(await attempt(await list(listing || undefined))) > 0
      // It is listed long enough, unless the server has lost the index.
      if (status === 3) index.restore(subject, { key, listing }, expiresAt, recordAt(key)).catch(() => {})
      return status > 0
    },

    async touch(key, { seenAt, expiresAt }, expected, call) {
      const args = [encodeVersion(expected), String(expiresAt), String(seenAt)]
      const answer = await change(call, touchRecord, key, ...args)
      if (typeof answer === 'number' || answer[0] !== 2) return statusOf(answer) === 1
      const [, subject, listing] = answer
      const [next, until] = await untilAborted(call, () => index.add(subject, key, expiresAt, listing || undefined))
      return statusOf(await change(call, touchRecord, key, ...args, subject, next, String(until))) === 1
    },

    async destroy(key, call) {
      await change(call, destroyRecord, key)
    },

    async *keys(call = {}) {
      const { subject } = call
      throwIfAborted(call)
      const found = subject === undefined ? scanKeys(client, prefix, batch, call) : index.members(subject, call)
      const seen = new Set<string>()
      for await (const page of found) {
        const verdicts = await untilAborted(call, () => judge(page, subject))
        const stale = page.filter((listed, n) => verdicts[n] === -1 && isSettled(listed))
        if (subject !== undefined) index.remove(subject, ...stale)
        for (const [n, { key }] of page.entries()) {
          if (verdicts[n] !== 1 || seen.has(key)) continue
          seen.add(key)
          yield key
          throwIfAborted(call)
        }
      }
    },

    async close() {
      await opened?.close()
    },

    [lastError]: () => client.lastError,
  })

  /** The results of judgeRecord for each listing. */
  async function judge(listed: readonly Listed[], subject: string | undefined): Promise<number[]> {
    const names = listed.map(({ key }) => recordAt(key))
    // An index may be full of sessions that are gone. A Cluster takes no command on keys of several nodes.
    const isLong = names.length > fewMembers && !client.isCluster
    if (isLong && Number(await client.call('exists', ...names)) === 0) return names.map(() => -1)
    const now = Date.now()
    const args = [now, now - slack, ...(subject === undefined ? [] : [subject])]
    const verdictOn = (name: string) => judgeRecord.run(client, name, ...args).catch(unlessForeign(0))
    return Promise.all(names.map(async name => Number(await verdictOn(name))))
  }
}

const commandsOf = (client: RedisClient): Commands =>
  isNodeRedis(client) ? nodeRedisCommands(client) : ioredisCommands(client)

const statusOf = (answer: Answer): number => (typeof answer === 'number' ? answer : answer[0])

/** The record in the answer of GET or readRecord. */
function unpack(found: unknown): SessionRecord | undefined {
  if (typeof found === 'string') return decode(found)
  return Array.isArray(found) ? decodeHash(found) : undefined
}

/** A value of another type, of an older version or of another program, is no failure of Redis. */
const isWrongType = (error: unknown): boolean => String((error as Partial<Error> | null)?.message).includes('WRONGTYPE')

function unlessForeign<T>(answer: T): (error: unknown) => T {
  return error => {
    if (isWrongType(error)) return answer
    throw error
  }
}
