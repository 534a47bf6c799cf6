-- Takes a lease; creates the desired state of a user who has none. Taking a live lease again extends it.
-- ARGV 4 lease id  5 kind  6 holder  7 ttlMs  8 class ('' = as it is)  9 default class  10 most live leases a user may have
--      11 trace context of the request ('' = none), for the passes that make the box
--      12 what it wants recorded of the user's terminals: output, input ('' = nothing more than before)
--      13 its checkout as JSON {spoon, branch, clone} ('' = as it is)
--      14 priority among those who wait for a box ('' = as its kind has it)
-- Returns JSON {leaseId, expiresAt, now, generation, class, phase, containerId, status, record} or {refused, detail}:
--   status: its JSON part, as it is stored ('' = none)
--   record: the most that any live lease wants recorded: off, output, input
--   name-differs-by-case (detail: the known name), lease-mismatch, class-held, too-many-leases
-- @include _box

local id, kind, holder, ttl = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local class, default_class, limit = ARGV[8], ARGV[9], tonumber(ARGV[10])

local function refuse(code, detail)
  return cjson.encode({ refused = code, detail = detail })
end

local other = claim_name()
if other then
  return refuse('name-differs-by-case', other)
end
local now = clock()
local desired = load_desired(now)
local status = load_status()
local live = load_leases(desired, now)
local known = lease_among(live, id)
if known and (known.kind ~= kind or known.holder ~= holder) then
  return refuse('lease-mismatch', known.kind .. ' lease of ' .. known.holder)
end
local checkout = ARGV[13] and decoded(ARGV[13])
local before = known and known.checkout
-- Who shares the lease must not find itself in another directory.
if checkout and type(before) == 'table' and (before.spoon ~= checkout.spoon or before.branch ~= checkout.branch) then
  return refuse('lease-mismatch', known.kind .. ' lease of ' .. known.holder .. ' with another checkout')
end
if not known and #live >= limit then
  return refuse('too-many-leases', int(#live))
end
local others = known and #live - 1 or #live
if desired and class ~= '' and desired.class ~= class and others > 0 then
  return refuse('class-held', desired.class)
end

-- Who is given a ready box, as it is, starts something in it now: a pass beside that would hold it up, and has little to do.
local is_ready = status and status.phase == 'ready' and desired and not desired.deletedAt
  and (class == '' or desired.class == class)
local generation = number((desired or {}).generation)
if not desired or (class ~= '' and desired.class ~= class) then
  generation = next_generation(desired, status, now)
  desired = desired or { lastActivityAt = int(now), lastActivityCause = 'lease-taken' }
  desired.class = class ~= '' and class or default_class
  redis.call('HSET', DESIRED, 'class', desired.class, 'generation', int(generation),
    'lastActivityAt', desired.lastActivityAt, 'lastActivityCause', desired.lastActivityCause)
end
redis.call('HDEL', DESIRED, 'deletedAt') -- a newer lease: the box is drained as asked for, then made again

local lease = known or { id = id, kind = kind, holder = holder, takenAt = now }
-- The same holder asking for less must not shorten what it already has.
lease.expiresAt = math.max(known and known.expiresAt or 0, now + ttl)
lease.ttlMs = ttl
if ARGV[11] and ARGV[11] ~= '' then
  lease.trace = ARGV[11]
end
-- Nor must who shares a lease take from what the other wants recorded.
if ARGV[12] == 'input' or (ARGV[12] == 'output' and lease.record ~= 'input') then
  lease.record = ARGV[12]
end
lease.checkout = checkout or lease.checkout
if ARGV[14] and ARGV[14] ~= '' then
  lease.priority = ARGV[14]
end
redis.call('HSET', LEASES, id, cjson.encode(lease))
if not known then
  live[#live + 1] = lease
  move_activity(desired, now, 'lease-taken')
  redis.call('HSET', DESIRED, 'lastInputAt', int(now))
  log_event('LeaseTaken', kind .. ' lease taken by ' .. holder, holder)
end
note_leases(desired, live)
local recorded = 'off'
for _, one in ipairs(live) do
  if one.record == 'input' or (one.record == 'output' and recorded == 'off') then
    recorded = one.record
  end
end
-- Also for a known lease: whoever takes it again wants the box looked at.
if is_ready then
  wake_later()
else
  wake()
end

return cjson.encode({
  leaseId = id, expiresAt = lease.expiresAt, now = now, generation = generation, class = desired.class,
  phase = (status or {}).phase or 'absent', containerId = (status or {}).containerId or '',
  status = (status or {}).body or '', record = recorded,
})
