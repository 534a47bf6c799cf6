-- Renews a live lease, and carries its holder's activity. Never brings back what was ended, never creates anything.
-- ARGV 4 lease id  5 ttlMs ('' = as taken)  6 ms since the last input (-1 = none)  7 ms since the last output (-1 = none)
-- Ages instead of times: the holder's clock is not compared with Redis'.
-- Returns JSON {expiresAt, now} or {refused: 'lease-ended', detail: reason} or {refused: 'lease-unknown'}
-- @include _box

local id, ttl, input_age, output_age = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local now = clock()
local desired = load_desired()
load_leases(desired, now)
local stored = redis.call('HGET', LEASES, id)
if not stored then
  return cjson.encode({ refused = 'lease-unknown' })
end
local lease = cjson.decode(stored)
if lease.endedAt then
  return cjson.encode({ refused = 'lease-ended', detail = lease.endReason })
end
lease.expiresAt = math.max(lease.expiresAt, now + (ttl or lease.ttlMs))
redis.call('HSET', LEASES, id, cjson.encode(lease))

if desired ~= nil then
  local last_input = tonumber(desired.lastInputAt) or 0
  if input_age >= 0 then
    last_input = math.max(last_input, now - input_age)
    redis.call('HSET', DESIRED, 'lastInputAt', int(last_input))
    move_activity(desired, now - input_age, 'input')
  end
  if output_age >= 0 and now - output_age - last_input <= OUTPUT_COUNTS_MS then
    move_activity(desired, now - output_age, 'output')
  end
end
return cjson.encode({ expiresAt = lease.expiresAt, now = now })
