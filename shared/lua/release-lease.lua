-- Gives a lease back. Its end is activity: the idle clock starts now. Giving back what has ended already is no error.
-- ARGV 4 lease id  5 by
-- Returns JSON {released: true|false, now} or {refused: 'lease-unknown'}
-- @include _box

local id, by = ARGV[4], ARGV[5]
local now = clock()
local desired = load_desired(now)
local live = load_leases(desired, now)
local stored = redis.call('HGET', LEASES, id)
if not stored then
  return cjson.encode({ refused = 'lease-unknown' })
end
local lease = cjson.decode(stored)
if lease.endedAt then
  return cjson.encode({ released = false, now = now })
end
end_lease(lease, now, 'released', by)
local others = {}
for _, other in ipairs(live) do
  if other.id ~= id then
    others[#others + 1] = other
  end
end
note_leases(desired, others)
move_activity(desired, now, lease.kind == 'terminal' and 'detach' or 'lease-released')
wake()
return cjson.encode({ released = true, now = now })
