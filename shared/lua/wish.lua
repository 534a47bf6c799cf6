-- An operator's wish, written as desired state; the reconciler does it. Reap and delete end all leases at once, with the
-- reason, and their end is no activity.
-- ARGV 4 reap | recreate | adopt | delete  5 by  6 container id (adopt)  7 '1' = now, also over running execs (adopt)  8 default class
-- Returns JSON {generation, now} or {refused: 'box-unknown'} or {refused: 'name-differs-by-case', detail}
-- @include _box

local wish, by, container_id, at_once, default_class = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local now = clock()
local desired = load_desired()
if not desired and redis.call('EXISTS', STATUS) == 0 and wish ~= 'adopt' then
  return cjson.encode({ refused = 'box-unknown' })
end
local other = claim_name()
if other then
  return cjson.encode({ refused = 'name-differs-by-case', detail = other })
end
local generation = next_generation(desired, now)
redis.call('HSETNX', DESIRED, 'class', default_class)
redis.call('HSET', DESIRED, 'generation', int(generation))

if wish == 'reap' or wish == 'delete' then
  for _, lease in ipairs(load_leases(desired, now)) do
    end_lease(lease, now, wish == 'reap' and 'reaped' or 'deleted', by)
  end
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
