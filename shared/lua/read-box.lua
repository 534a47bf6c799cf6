-- Everything that is known of one user: what a pass, the API and `why` stand on.
-- KEYS last but one: rollout, last: home usage (behind those that all scripts of a user share)
-- ARGV 4 policies as JSON {class: [detachedIdleMs, attachedIdleMs, giveWayMs], '*': …}
-- Returns {now, [desired field, value, …], [lease JSON, …], [status field, value, …], [session JSON, …], [hold JSON, …], wantedUntil,
--   mode JSON, rollout JSON {paused, reason, by, since}, revision of the vault and of what is asked for its sake,
--   when it may give way ('' = never, as things are),
--   home usage JSON ('' = not known)}
--   leases hold the ended ones of the last 10 minutes too
-- @include _box
-- @include _mode
-- @include _rollout
-- @include _vault
-- @include _vault-orders

local now = clock()
local desired = load_desired(now)
local status = load_status()
local live = load_leases(desired, now)
local policies = cjson.decode(ARGV[4])
local sessions = first_call('HVALS', SESSIONS)
local holds = holds_of(desired, live, status, now, policies)
local free_at = gives_way_at(desired, live, sessions, status, now, policies)
local hold_lines = {}
for i, hold in ipairs(holds) do
  hold_lines[i] = cjson.encode(hold)
end
return {
  int(now), redis.call('HGETALL', DESIRED), redis.call('HVALS', LEASES), redis.call('HGETALL', STATUS), sessions,
  hold_lines, int(latest(holds)), cjson.encode(load_mode(MODE, now)),
  cjson.encode(load_rollout(KEYS[#KEYS - 1], now)),
  int(math.max(vault_revision(VAULT, now), orders_revision(VAULT_ORDERS))),
  free_at and int(free_at) or '',
  first_call('HGET', KEYS[#KEYS], USER) or '',
}
