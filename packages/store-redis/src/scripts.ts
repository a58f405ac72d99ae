import { Script } from './script.js'

/*
 * Every script on a record takes the caller's clock as its first argument and never asks for the server's. `expiresAt` decides
 * what is alive; the expiry of a key only reclaims its memory.
 *
 * The scripts that change a record answer a status, or { status, subject, listing }: a listing in the index of that subject.
 *   0: lost; 1: done. The listing is one that no record needs any more.
 *   2: nothing was done, because the record must be listed first. The listing is the one it has, or ''.
 *   3: done. The record keeps this listing.
 */

/** Redis keeps a session's key and listing this many milliseconds longer than the session, because a clock may be fast. */
export const slack = 3_600_000

/** Data of so many characters may replace shorter ones even if the server is full: enough for a tombstone. */
const smallest = 512

/** So many bytes contain every header. */
const enough = 300

/**
 * `load` gives the parts of the stored header, `subject`, `listing` and `listedUntil` as '' if there is none, and where the
 * data begin. A record of the first layout is a hash, so its data begin nowhere. Any other value is WRONGTYPE.
 */
const record = `
local pattern = '^s1 (%S+) (%S+) (%S*) ?(%S*) ?(%S*) ?(%S*)\\n()'
local function load()
  local text = redis.pcall('GETRANGE', KEYS[1], 0, ${enough})
  if text == '' then return nil, nil, '', '', '' end
  if type(text) == 'string' then
    local expiresAt, seenAt, version, subject, listing, listedUntil, start = string.match(text, pattern)
    if tonumber(expiresAt or '') then return tonumber(expiresAt), version, subject, listing, listedUntil, start end
  end
  local hash = redis.call('HMGET', KEYS[1], 'expiresAt', 'version', 'subject', 'listing', 'listedUntil')
  return tonumber(hash[1] or ''), hash[2], hash[3] or '', hash[4] or '', hash[5] or ''
end`

const changes = `${record}
local now = tonumber(ARGV[1])
local function ttl(expiresAt)
  return string.format('%.0f', math.ceil(expiresAt - now) + ${slack})
end
local function answer(status, subject, listing)
  if subject == '' then return status end
  return { status, subject, listing }
end`

/** The text of a record, or the fields of the first layout. */
export const readRecord = new Script(`
local text = redis.pcall('GET', KEYS[1])
if type(text) ~= 'table' then return text end
return redis.call('HMGET', KEYS[1], 'expiresAt', 'data', 'seenAt', 'version', 'subject')
`)

/** now, text, [expected]. A text with a subject and no listing takes over the listing of the stored record. */
export const writeRecord = new Script(`${changes}
local text = ARGV[2]
local expiresAt, _, version, subject, listing, listedUntil, start = string.match(text, pattern)
expiresAt = tonumber(expiresAt)
local size = #text - start + 1
local storedUntil, stored, storedSubject, storedListing, storedListedUntil, storedStart = load()
stored = storedUntil and storedUntil > now and stored or false
if stored == version or stored ~= (ARGV[3] or false) then
  local status = stored == version and 1 or 0
  if listing == '' or storedSubject == subject and storedListing == listing then return status end
  return { status, subject, listing }
end
if expiresAt <= now then
  redis.call('DEL', KEYS[1])
  return answer(1, storedSubject, storedListing)
end
if subject ~= '' and listing == '' then
  listing = storedSubject == subject and storedListing or ''
  if listing == '' or tonumber(storedListedUntil) < expiresAt then return { 2, subject, listing } end
  text = string.sub(text, 1, start - 2) .. ' ' .. listing .. ' ' .. storedListedUntil .. string.sub(text, start - 1)
end
local result = redis.pcall('SET', KEYS[1], text, 'PX', ttl(expiresAt))
if result.err then
  -- A full server refuses this, but not after the same script has freed memory. A tombstone, say, needs less than it frees.
  if not stored or not string.find(result.err, 'OOM', 1, true) then return result end
  local freed = storedStart and redis.call('STRLEN', KEYS[1]) - storedStart + 1
    or #(redis.call('HGET', KEYS[1], 'data') or '')
  if size > math.max(freed, ${smallest}) then return result end
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[1], text, 'PX', ttl(expiresAt))
end
local isKept = storedSubject == subject and storedListing == listing
return answer(isKept and 3 or 1, storedSubject, storedListing)
`)

/** now, expected, expiresAt, seenAt, [subject, listing, listedUntil] */
export const touchRecord = new Script(`${changes}
local storedUntil, version, subject, listing, listedUntil, start = load()
if not storedUntil or storedUntil <= now or version ~= ARGV[2] then
  if not ARGV[6] or subject == ARGV[5] and listing == ARGV[6] then return 0 end
  return { 0, ARGV[5], ARGV[6] }
end
local expiresAt = tonumber(ARGV[3])
if expiresAt <= now then
  redis.call('DEL', KEYS[1])
  return answer(1, subject, listing)
end
local header = 's1 ' .. ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. version
local status = 1
if subject ~= '' then
  local next, nextUntil = ARGV[6] or listing, ARGV[7] or listedUntil
  if next == '' or tonumber(nextUntil) < expiresAt then return { 2, subject, next } end
  header = header .. ' ' .. subject .. ' ' .. next .. ' ' .. nextUntil
  if next ~= listing then status = { 1, subject, listing } end
end
header = header .. '\\n'
-- A full server lets a script go on that has changed something, and this one needs no more memory than there is.
redis.call('PEXPIRE', KEYS[1], ttl(expiresAt))
if start == #header + 1 then
  redis.call('SETRANGE', KEYS[1], 0, header)
else
  local data = start and redis.call('GETRANGE', KEYS[1], start - 1, -1) or redis.call('HGET', KEYS[1], 'data')
  redis.call('SET', KEYS[1], header .. data, 'PX', ttl(expiresAt))
end
return status
`)

export const destroyRecord = new Script(`${changes}
local _, _, subject, listing = load()
redis.call('DEL', KEYS[1])
return answer(1, subject, listing)
`)

/**
 * now, now less the slack, [subject]
 *
 * 1: the session lives; 0: by this clock it does not; -1: nor will it by any other, or it is somebody else's.
 */
export const judgeRecord = new Script(`${record}
local expiresAt, _, subject = load()
if not expiresAt or expiresAt <= tonumber(ARGV[2]) or ARGV[3] and subject ~= ARGV[3] then return -1 end
return expiresAt > tonumber(ARGV[1]) and 1 or 0
`)

/** subject, listing. Whether the record is listed so. */
export const holdsListing = new Script(`${record}
local _, _, subject, listing = load()
return subject == ARGV[1] and listing == ARGV[2] and 1 or 0
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
