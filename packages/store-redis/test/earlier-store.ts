import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { SessionRecord, Store } from 'koa-session-core'

/*
 * The store with the commands of the release that kept a session in a hash. Not a word of the scripts may change.
 */

const slack = 3_600_000

const readScript = `
local record = redis.call('HMGET', KEYS[1], 'expiresAt', 'data', 'seenAt', 'version', 'subject')
local expiresAt = tonumber(record[1] or '')
if not expiresAt or expiresAt <= tonumber(ARGV[1]) then return false end
return record
`

const writeScript = `
local stored = redis.call('HMGET', KEYS[1], 'expiresAt', 'version', 'subject', 'listing', 'listedUntil')
local version = stored[1] and tonumber(stored[1]) > tonumber(ARGV[1]) and stored[2]
local subject, listing, listedUntil = ARGV[7], ARGV[8], ARGV[9]
if version == ARGV[3] or version ~= (ARGV[10] or false) then
  local status = version == ARGV[3] and 1 or 0
  if listing == '' or stored[3] == subject and stored[4] == listing then return { status } end
  return { status, subject, listing }
end
if tonumber(ARGV[2]) == 0 then
  redis.call('DEL', KEYS[1])
  subject = ''
else
  if subject ~= '' and listing == '' then
    local isListed = stored[3] == subject and stored[4]
    if not isListed or tonumber(stored[5]) < tonumber(ARGV[5]) then return { 2, subject, isListed or '' } end
    listing, listedUntil = stored[4], stored[5]
  end
  local fields = { 'version', ARGV[3], 'data', ARGV[4], 'expiresAt', ARGV[5], 'seenAt', ARGV[6] }
  local result = redis.pcall('HSET', KEYS[1], unpack(fields))
  if type(result) == 'table' and result.err then
    -- A full server refuses this, but not after the same script has freed memory. A tombstone, say, needs less than it frees.
    local least = math.max(#(redis.call('HMGET', KEYS[1], 'data')[1] or ''), 512)
    if not version or #ARGV[4] > least or not string.find(result.err, 'OOM', 1, true) then return result end
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], unpack(fields))
  end
  if subject == '' then
    redis.call('HDEL', KEYS[1], 'subject', 'listing', 'listedUntil')
  else
    redis.call('HSET', KEYS[1], 'subject', subject, 'listing', listing, 'listedUntil', listedUntil)
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
if not stored[3] then return { 1 } end
if stored[3] == subject and stored[4] == listing then return { 3, subject, listing } end
return { 1, stored[3], stored[4] or '' }
`

const touchScript = `
local stored = redis.call('HMGET', KEYS[1], 'expiresAt', 'version', 'subject', 'listing', 'listedUntil')
if not stored[1] or tonumber(stored[1]) <= tonumber(ARGV[1]) or stored[2] ~= ARGV[3] then
  if not ARGV[7] or stored[3] == ARGV[6] and stored[4] == ARGV[7] then return { 0 } end
  return { 0, ARGV[6], ARGV[7] }
end
if tonumber(ARGV[2]) == 0 then
  redis.call('DEL', KEYS[1])
  if stored[3] then return { 1, stored[3], stored[4] or '' } end
  return { 1 }
end
local unneeded = { 1 }
if stored[3] then
  local listing, listedUntil = ARGV[7] or stored[4], ARGV[8] or stored[5]
  if not listing or tonumber(listedUntil) < tonumber(ARGV[4]) then return { 2, stored[3], listing or '' } end
  redis.call('HSET', KEYS[1], 'listing', listing, 'listedUntil', listedUntil)
  if stored[4] ~= listing then unneeded = { 1, stored[3], stored[4] or '' } end
end
redis.call('HSET', KEYS[1], 'expiresAt', ARGV[4], 'seenAt', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return unneeded
`

const destroyScript = `
local stored = redis.call('HMGET', KEYS[1], 'subject', 'listing')
redis.call('DEL', KEYS[1])
if stored[1] then return { 1, stored[1], stored[2] or '' } end
return { 1 }
`

const judgeScript = `
local stored = redis.call('HMGET', KEYS[1], 'expiresAt', 'subject')
local expiresAt = tonumber(stored[1] or '')
if not expiresAt or expiresAt <= tonumber(ARGV[2]) or ARGV[3] and stored[2] ~= ARGV[3] then return -1 end
return expiresAt > tonumber(ARGV[1]) and 1 or 0
`

const addScript = `
if redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[1]) > 0 then
  local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1000)
  redis.call('ZREM', KEYS[1], unpack(over))
end
local stored = redis.call('ZSCORE', KEYS[1], ARGV[3])
if not stored or tonumber(stored) < tonumber(ARGV[4]) then redis.call('ZADD', KEYS[1], ARGV[4], ARGV[3]) end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return stored and 0 or 1
`

type Answer = [status: number, subject?: string, listing?: string]

/** A live record of that release, or undefined; anything else under the key rejects with WRONGTYPE. */
export function earlierStore(client: Redis, prefix: string) {
  const run = (script: string, key: string, ...args: (string | number)[]) => client.eval(script, 1, key, ...args)
  const at = (key: string) => prefix + key
  const indexOf = (subject: string) => `${prefix}subject:${subject}`
  const lifetime = (expiresAt: number, now: number) => (expiresAt <= now ? 0 : Math.ceil(expiresAt - now) + slack)
  const newListing = () => Date.now().toString(36) + randomBytes(6).toString('hex')

  async function add(
    subject: string,
    key: string,
    expiresAt: number,
    listing = newListing(),
  ): Promise<[string, number]> {
    const now = Date.now()
    const until = expiresAt + (expiresAt - now)
    await run(addScript, indexOf(subject), now - slack, until - now + slack, `${key}:${listing}`, until)
    return [listing, until]
  }

  async function change(script: string, key: string, ...args: (string | number)[]): Promise<Answer> {
    const answer = (await run(script, at(key), ...args)) as Answer
    const [status, subject, listing] = answer
    if (status < 2 && subject !== undefined) await client.zrem(indexOf(subject), `${key}:${listing}`)
    return answer
  }

  return {
    name: 'redis',

    async read(key: string): Promise<SessionRecord | undefined> {
      const found = (await run(readScript, at(key), Date.now())) as (string | null)[] | null
      if (!found) return undefined
      const [expiresAt, data, seenAt, version, subject] = found
      const record = { data: `${data}`, expiresAt: Number(expiresAt), seenAt: Number(seenAt), version: `${version}` }
      return subject ? { ...record, subject } : record
    },

    async write(key: string, record: SessionRecord, expected: string | null): Promise<boolean> {
      const { data, expiresAt, seenAt, version, subject = '' } = record
      const attempt = (listing: string, until: number) => {
        const now = Date.now()
        const args = [now, lifetime(expiresAt, now), version, data, expiresAt, seenAt, subject, listing, until]
        return change(writeScript, key, ...args, ...(expected === null ? [] : [expected]))
      }
      const isNew = expected === null && subject !== '' && expiresAt > Date.now()
      const [status, , listing] = await (isNew ? attempt(...(await add(subject, key, expiresAt))) : attempt('', 0))
      if (status !== 2) return status > 0
      return (await attempt(...(await add(subject, key, expiresAt, listing || undefined))))[0] > 0
    },

    async touch(key: string, { seenAt, expiresAt }: { seenAt: number; expiresAt: number }, expected: string) {
      const attempt = (...listed: (string | number)[]) => {
        const now = Date.now()
        return change(touchScript, key, now, lifetime(expiresAt, now), expected, expiresAt, seenAt, ...listed)
      }
      const [status, subject = '', listing] = await attempt()
      if (status !== 2) return status === 1
      return (await attempt(subject, ...(await add(subject, key, expiresAt, listing || undefined))))[0] === 1
    },

    async destroy(key: string) {
      await change(destroyScript, key)
    },

    async close() {},

    /** Whether it would list the session. */
    async judge(key: string, subject: string) {
      const now = Date.now()
      return run(judgeScript, at(key), now, now - slack, subject)
    },
  } satisfies Store & Record<string, unknown>
}
