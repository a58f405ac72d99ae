import { Script } from './script.js'

/*
 * Every script takes the caller's clock as its first argument and never asks for the server's. `expiresAt` decides what
 * is alive; the expiry of a key only reclaims its memory.
 *
 * Reading is a script as well, and not HMGET, which a Cluster client may send to a replica.
 *
 * Those that change a record answer { status } or { status, subject, listing }: a listing in the index of that subject.
 *   0: lost; 1: done. The listing is one that no record needs any more.
 *   2: nothing was done, because the record must be listed first. The listing is the one it has, or ''.
 */

/** Data of so many characters may replace shorter ones also where the server is full: enough for a tombstone. */
const smallest = 512

/** now */
export const readRecord = new Script(`
local record = redis.call('HMGET', KEYS[1], 'expiresAt', 'data', 'seenAt', 'version', 'subject')
local expiresAt = tonumber(record[1] or '')
if not expiresAt or expiresAt <= tonumber(ARGV[1]) then return false end
return record
`)

/** now, ttl (0: already expired), version, data, expiresAt, seenAt, subject or '', listing or '', until, [expected] */
export const writeRecord = new Script(`
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
    local least = math.max(#(redis.call('HMGET', KEYS[1], 'data')[1] or ''), ${smallest})
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
`)

/** now, ttl (0: already expired), expected, expiresAt, seenAt, [subject, listing, until] */
export const touchRecord = new Script(`
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
`)

export const destroyRecord = new Script(`
local stored = redis.call('HMGET', KEYS[1], 'subject', 'listing')
redis.call('DEL', KEYS[1])
if stored[1] then return { 1, stored[1], stored[2] or '' } end
return { 1 }
`)

/**
 * now, now less the slack, [subject]
 *
 * 1: the session lives; 0: by this clock it does not; -1: nor will it by any other, or it is somebody else's.
 */
export const judgeRecord = new Script(`
local stored = redis.call('HMGET', KEYS[1], 'expiresAt', 'subject')
local expiresAt = tonumber(stored[1] or '')
if not expiresAt or expiresAt <= tonumber(ARGV[2]) or ARGV[3] and stored[2] ~= ARGV[3] then return -1 end
return expiresAt > tonumber(ARGV[1]) and 1 or 0
`)

/** subject, listing. Whether the record is listed so. */
export const holdsListing = new Script(`
local stored = redis.call('HMGET', KEYS[1], 'subject', 'listing')
return stored[1] == ARGV[1] and stored[2] == ARGV[2] and 1 or 0
`)

const prune = `
if redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[1]) > 0 then
  local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1000)
  redis.call('ZREM', KEYS[1], unpack(over))
end`

/** now less the slack, ttl, member, until. Gives whether the member is new. */
export const addToIndex = new Script(`${prune}
local stored = redis.call('ZSCORE', KEYS[1], ARGV[3])
if not stored or tonumber(stored) < tonumber(ARGV[4]) then redis.call('ZADD', KEYS[1], ARGV[4], ARGV[3]) end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return stored and 0 or 1
`)

/**
 * now less the slack, count, [last member, its score]
 *
 * The next members, after the score of the last of them. Scores only rise, so none is passed over that is there throughout.
 */
export const readIndex = new Script(`${prune}
local from = 0
if ARGV[3] then
  if redis.call('ZSCORE', KEYS[1], ARGV[3]) == ARGV[4] then
    from = redis.call('ZRANK', KEYS[1], ARGV[3]) + 1
  else
    from = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[4])
  end
end
local members = redis.call('ZRANGE', KEYS[1], from, from + ARGV[2] - 1)
if #members == 0 then return {} end
return { redis.call('ZSCORE', KEYS[1], members[#members]), unpack(members) }
`)
