-- An operator's wish, written as desired state; the reconciler does it. Reap and delete end all leases at once, with the
-- reason, and their end is no activity.
-- ARGV 4 reap | recreate | adopt | delete  5 by  6 container id (adopt)  7 '1' = now, also over running execs (adopt)  8 default class
--      9 generations of which desired state has to be, JSON array of numbers ('' = any, '*' = any, but something is known)
-- Returns JSON {generation, now} or {refused: 'box-unknown'} or {refused: 'name-differs-by-case', detail}
--   or {refused: 'precondition-failed', detail: the generation as it is, 0 = none}
-- @include _box
-- @include _expected

local wish, by, container_id, at_once, default_class, expected = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9] or ''
local now = clock()
local desired = load_desired(now)
local status = load_status()
local live = load_leases(desired, now)
if not desired and not status and #live == 0 and wish ~= 'adopt' then
  return cjson.encode({ refused = 'box-unknown' })
end
local is = number((desired or {}).generation) or 0
if not is_expected(expected, is, desired ~= nil or status ~= nil or #live > 0) then
  return cjson.encode({ refused = 'precondition-failed', detail = int(is) })
end
local other = claim_name()
if other then
  return cjson.encode({ refused = 'name-differs-by-case', detail = other })
end
local generation = next_generation(desired, status, now)
if not desired then
  -- Nothing is known of who needs this box; that is not the same as nobody.
  redis.call('HSET', DESIRED, 'class', default_class, 'lastActivityAt', int(now), 'lastActivityCause', 'wish')
end
redis.call('HSET', DESIRED, 'generation', int(generation))

if wish == 'reap' or wish == 'delete' then
  end_all(desired, live, now, wish == 'reap' and 'reaped' or 'deleted', by)
  redis.call('HSET', DESIRED, 'reapGeneration', int(generation))
end
if wish == 'delete' then
  redis.call('HSET', DESIRED, 'deletedAt', int(now))
elseif wish == 'recreate' then
  redis.call('HSET', DESIRED, 'recreateGeneration', int(generation))
elseif wish == 'adopt' then
  redis.call('HSET', DESIRED, 'adoptContainerId', container_id, 'adoptAtOnce', at_once)
end
log_event('Wish', wish .. ' asked for by ' .. by, by)
wake()
return cjson.encode({ generation = generation, now = now })
