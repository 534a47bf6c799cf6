-- Writes or clears the mark by which a leader knows that Redis still is what it was: the server's run id. Only the leader may.
-- KEYS 1 leader  2 marker
-- ARGV 1 leader token  2 mark ('' = clear)
-- Returns 1, or 0 when the caller does not lead
-- @include _common

if first_call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[2])
else
  redis.call('SET', KEYS[2], ARGV[2])
end
return 1
