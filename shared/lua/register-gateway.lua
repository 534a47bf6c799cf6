-- A gateway's own lease: who serves terminals, where, until when. Entries a day past their end are dropped here.
-- KEYS 1 gateways  2 heartbeat
-- ARGV 1 gateway id  2 ttlMs ('0' = it goes)  3 record as JSON
-- Returns JSON {now, fingerprint}: the leader's terminal secret fingerprint ('' = no controller has led yet)
-- @include _common

local now = clock()
local ttl = tonumber(ARGV[2])
if ttl == 0 then
  first_call('HDEL', KEYS[1], ARGV[1])
else
  local record = cjson.decode(ARGV[3])
  record.expiresAt = now + ttl
  first_call('HSET', KEYS[1], ARGV[1], cjson.encode(record))
end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local expires_at = number((decoded(all[i + 1]) or {}).expiresAt) or 0
  if expires_at + 86400000 < now then
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return cjson.encode({ now = now, fingerprint = first_call('HGET', KEYS[2], 'fingerprint') or '' })
