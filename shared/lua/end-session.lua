-- Removes the record of a terminal session where it is still that gateway's: an end that comes late ends nothing of the next one's.
-- ARGV 4 session id  5 gateway  6 what happened, for the events ('' = nothing to tell)  7 by
-- Returns 1, or 0 where another gateway has the session, or nobody
-- @include _box

local stored = first_call('HGET', SESSIONS, ARGV[4])
local other = (decoded(stored or '') or {}).gateway
if not stored or (type(other) == 'string' and other ~= ARGV[5]) then
  return 0
end
redis.call('HDEL', SESSIONS, ARGV[4])
if ARGV[6] ~= '' then
  log_event('SessionEnded', ARGV[6], ARGV[7])
end
redis.call('PUBLISH', STATUS_CHANNEL, USER)
return 1
