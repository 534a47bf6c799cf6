-- Keeps a new token of the API: its hash, its role, whose it is. Where there is no room, those that have expired give way.
-- KEYS 1 api tokens
-- ARGV 1 id  2 record as JSON  3 ttlMs ('0' = it lasts until it is revoked)  4 most tokens that are kept
-- Returns JSON {record}, or {refused: 'too-many-tokens'}
-- @include _common

local EXPIRED_KEPT_MS = 86400000 -- for so long who shows one is told that it has expired

local id, ttl, limit = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local now = clock()

local function drop_expired(before)
  local all = first_call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local record = decoded(all[i + 1])
    if not record or (record.expiresAt and (number(record.expiresAt) or 0) <= before) then
      redis.call('HDEL', KEYS[1], all[i])
    end
  end
end

drop_expired(now - EXPIRED_KEPT_MS)
if redis.call('HLEN', KEYS[1]) >= limit then
  drop_expired(now)
end
if redis.call('HLEN', KEYS[1]) >= limit then
  return cjson.encode({ refused = 'too-many-tokens' })
end
local record = cjson.decode(ARGV[2])
record.createdAt = now
if ttl > 0 then
  record.expiresAt = now + ttl
end
local json = cjson.encode(record)
redis.call('HSET', KEYS[1], id, json)
return cjson.encode({ record = json })
