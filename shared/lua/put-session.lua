-- Writes or ends the record of a terminal session. A record never creates desired state.
-- ARGV 4 session id  5 record as JSON ('' = ended)  6 what happened, for the events ('' = nothing to tell)
-- Returns 1
-- @include _box

if ARGV[5] == '' then
  first_call('HDEL', SESSIONS, ARGV[4])
else
  claim_name()
  first_call('HSET', SESSIONS, ARGV[4], ARGV[5])
end
if ARGV[6] ~= '' then
  log_event(ARGV[5] == '' and 'SessionEnded' or 'SessionStarted', ARGV[6], 'gateway')
end
redis.call('PUBLISH', STATUS_CHANNEL, USER)
return 1
