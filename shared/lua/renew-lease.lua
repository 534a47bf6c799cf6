-- Renews a live lease, and carries its holder's activity. Never brings back what was ended, never creates anything.
-- ARGV 4 lease id  5 ttlMs ('' = as taken)  6 ms since the last input (-1 = none)  7 ms since the last output (-1 = none)
--      8 policies as JSON, as in read-box
-- Ages instead of times: the holder's clock is not compared with Redis'.
-- Returns JSON {expiresAt, now, wantedUntil} or {refused: 'lease-ended', detail: reason} or {refused: 'lease-unknown'}
-- @include _box

local id, ttl, input_age, output_age = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local now = clock()
local desired = load_desired(now)
local live = load_leases(desired, now)
local stored = redis.call('HGET', LEASES, id)
-- A lease whose desired state was lost is to be taken again: that makes the desired state again too.
if not stored or desired == nil then
  return cjson.encode({ refused = 'lease-unknown' })
end
local lease = lease_among(live, id)
if not lease then
  return cjson.encode({ refused = 'lease-ended', detail = cjson.decode(stored).endReason })
end
claim_name() -- the index may have been lost; without it the box is not looked at
lease.expiresAt = math.max(lease.expiresAt, now + (ttl or lease.ttlMs))
redis.call('HSET', LEASES, id, cjson.encode(lease))
note_leases(desired, live)

local last_input = number(desired.lastInputAt) or 0
if input_age >= 0 then
  last_input = math.max(last_input, now - input_age)
  redis.call('HSET', DESIRED, 'lastInputAt', int(last_input))
  move_activity(desired, now - input_age, 'input')
end
if output_age >= 0 and now - output_age - last_input <= OUTPUT_COUNTS_MS then
  move_activity(desired, now - output_age, 'output')
end
local wanted_until = latest(holds_of(desired, live, load_status(), now, cjson.decode(ARGV[8])))
return cjson.encode({ expiresAt = lease.expiresAt, now = now, wantedUntil = wanted_until })
