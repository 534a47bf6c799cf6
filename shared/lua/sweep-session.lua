-- Makes a terminal session the sweep's, which ends it: until that is done, or has taken too long, nobody can begin it or go on with it.
-- ARGV 4 session id  5 the gateway that has it ('' = it has no record)  6 record as JSON
-- Returns 1, or 0 where that is not so (any more), or it is being ended already
-- @include _box

local id, gateway = ARGV[4], ARGV[5]
local now = clock()
local stored = decoded(first_call('HGET', SESSIONS, id) or '') or {}
if (type(stored.gateway) == 'string' and stored.gateway or '') ~= gateway or is_ending(stored, now) then
  return 0
end
local record = decoded(ARGV[6])
record.gateway, record.endingUntil, record.tickets = 'sweep', now + ENDING_MS, nil
claim_name()
redis.call('HSET', SESSIONS, id, cjson.encode(record))
redis.call('PUBLISH', STATUS_CHANNEL, USER)
return 1
