-- Writes the record of a terminal session again, or for the first time after Redis lost it. A record never creates desired state.
-- ARGV 4 session id  5 gateway  6 record as JSON
-- Returns 1, or 0 where another gateway has taken the session over
-- @include _box

local other = (decoded(first_call('HGET', SESSIONS, ARGV[4]) or '') or {}).gateway
if type(other) == 'string' and other ~= ARGV[5] then
  return 0
end
claim_name()
redis.call('HSET', SESSIONS, ARGV[4], ARGV[6])
redis.call('PUBLISH', STATUS_CHANNEL, LATER .. USER) -- for who looks on: no gateway has to do anything about it
return 1
