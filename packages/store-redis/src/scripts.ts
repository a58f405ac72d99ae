import { Script } from './script.js'

/*
 * Every script takes the caller's clock as its first argument and never asks for the server's. `expiresAt` decides what
 * is alive; the expiry of a key only reclaims its memory.
 *
 * Reading is a script as well, and not HMGET, which a Cluster client may send to a replica.
 */

/** now */
export const readRecord = new Script(`
local record = redis.call('HMGET', KEYS[1], 'expiresAt', 'data', 'seenAt', 'version', 'subject')
if not record[1] or tonumber(record[1]) <= tonumber(ARGV[1]) then return false end
return record
`)

/** now, ttl (0: already expired), version, data, expiresAt, seenAt, subject or '', indexedUntil, [expected] */
export const writeRecord = new Script(`
local stored = redis.call('HMGET', KEYS[1], 'expiresAt', 'version')
local version = stored[1] and tonumber(stored[1]) > tonumber(ARGV[1]) and stored[2]
if version == ARGV[3] then return 1 end
if version ~= (ARGV[9] or false) then return 0 end
if tonumber(ARGV[2]) == 0 then
  redis.call('DEL', KEYS[1])
  return 1
end
redis.call('HSET', KEYS[1], 'version', ARGV[3], 'data', ARGV[4], 'expiresAt', ARGV[5], 'seenAt', ARGV[6])
if ARGV[7] == '' then
  redis.call('HDEL', KEYS[1], 'subject', 'indexedUntil')
else
  redis.call('HSET', KEYS[1], 'subject', ARGV[7], 'indexedUntil', ARGV[8])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
`)

/**
 * now, ttl (0: already expired), expected, expiresAt, seenAt, [indexedUntil]
 *
 * Gives the subject, and does nothing, when its index would not live as long.
 */
export const touchRecord = new Script(`
local stored = redis.call('HMGET', KEYS[1], 'expiresAt', 'version', 'subject', 'indexedUntil')
if not stored[1] or tonumber(stored[1]) <= tonumber(ARGV[1]) or stored[2] ~= ARGV[3] then return 0 end
if tonumber(ARGV[2]) == 0 then
  redis.call('DEL', KEYS[1])
  return 1
end
if stored[3] then
  local indexedUntil = ARGV[6] or stored[4]
  if tonumber(indexedUntil) < tonumber(ARGV[4]) then return stored[3] end
  redis.call('HSET', KEYS[1], 'indexedUntil', indexedUntil)
end
redis.call('HSET', KEYS[1], 'expiresAt', ARGV[4], 'seenAt', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
`)

/** now, [subject] */
export const isRecordLive = new Script(`
local stored = redis.call('HMGET', KEYS[1], 'expiresAt', 'subject')
if not stored[1] or tonumber(stored[1]) <= tonumber(ARGV[1]) then return 0 end
if ARGV[2] and stored[2] ~= ARGV[2] then return 0 end
return 1
`)

/** now less the slack, ttl, key of the session, until */
export const addToIndex = new Script(`
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
local stored = redis.call('ZSCORE', KEYS[1], ARGV[3])
if not stored or tonumber(stored) < tonumber(ARGV[4]) then redis.call('ZADD', KEYS[1], ARGV[4], ARGV[3]) end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
`)

/** now less the slack */
export const readIndex = new Script(`
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
return redis.call('ZRANGE', KEYS[1], 0, -1)
`)
