-- Looks a token of the API up, and notes that it was used, at most once a minute.
-- KEYS 1 api tokens
-- ARGV 1 id  2 hash of the token that was shown
-- Returns JSON {now, record}: the record as JSON, left out where there is none. Whether it is the token that was shown, the caller
-- compares, in constant time.
-- @include _common

local NOTED_EVERY_MS = 60000

local now = clock()
local json = first_call('HGET', KEYS[1], ARGV[1])
local record = json and decoded(json)
if not record then
  return cjson.encode({ now = now })
end
local has_expired = record.expiresAt and (number(record.expiresAt) or 0) <= now
local used_at = number(record.lastUsedAt) or 0
-- A use that lies ahead was noted before Redis' clock was set back.
if record.hash == ARGV[2] and not has_expired and (used_at + NOTED_EVERY_MS <= now or used_at > now) then
  record.lastUsedAt = now
  json = cjson.encode(record)
  redis.call('HSET', KEYS[1], ARGV[1], json)
end
return cjson.encode({ now = now, record = json })
