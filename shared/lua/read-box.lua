-- Everything that is known of one user: what a pass, the API and `why` stand on.
-- KEYS 13 home usage
-- ARGV 4 policies as JSON {class: [detachedIdleMs, attachedIdleMs], '*': …}
-- Returns {now, [desired field, value, …], [lease JSON, …], [status field, value, …], [session JSON, …], [hold JSON, …], wantedUntil,
--   mode JSON, home usage JSON ('' = not known)}
--   leases hold the ended ones of the last 10 minutes too
-- @include _box
-- @include _mode

local now = clock()
local desired = load_desired(now)
local status = load_status()
local live = load_leases(desired, now)
local holds = holds_of(desired, live, status, now, cjson.decode(ARGV[4]))
local hold_lines = {}
for i, hold in ipairs(holds) do
  hold_lines[i] = cjson.encode(hold)
end
return {
  int(now), redis.call('HGETALL', DESIRED), redis.call('HVALS', LEASES), redis.call('HGETALL', STATUS), first_call('HVALS', SESSIONS),
  hold_lines, int(latest(holds)), cjson.encode(load_mode(MODE, now)),
  first_call('HGET', KEYS[13], USER) or '',
}
