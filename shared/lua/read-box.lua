-- Everything that is known of one user: what a pass, the API and `why` stand on.
-- ARGV 4 policies as JSON {class: [detachedIdleMs, attachedIdleMs], '*': …}
-- Returns {now, [desired field, value, …], [lease JSON, …], [status field, value, …], [session JSON, …], [hold JSON, …], wantedUntil}
--   leases hold the ended ones of the last 10 minutes too
-- @include _box

local now = clock()
local desired = load_desired()
local live = load_leases(desired, now)
local status = redis.call('HGETALL', STATUS)
local fields = table_of(status)
local holds = holds_of(desired, live, tonumber(fields.keepUntil) or 0, fields.keepCause or '', cjson.decode(ARGV[4]))
local hold_lines = {}
for i, hold in ipairs(holds) do
  hold_lines[i] = cjson.encode(hold)
end
return {
  int(now), redis.call('HGETALL', DESIRED), redis.call('HVALS', LEASES), status, redis.call('HVALS', SESSIONS),
  hold_lines, int(latest(holds)),
}
