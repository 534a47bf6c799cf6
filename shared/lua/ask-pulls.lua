-- An operator asks for the images of all classes to be pulled again. While a round is under way, no other begins: it is told.
-- KEYS 1 pull round
-- ARGV 1 wake channel  2 what wakes everybody  3 by  4 the round that has ended, as the caller read it (0 = none)
-- Returns the time (Redis TIME, ms) at which the round was asked for that is under way now
-- @include _common
-- @include _pull-round

local now = clock()
local round = load_round(KEYS[1])
if round.asked_at > 0 and round.asked_at <= now and int(round.asked_at) ~= ARGV[4] then
  return int(round.asked_at)
end
-- Two rounds of one millisecond would be taken for one.
local asked_at = math.max(now, round.asked_at <= now and round.asked_at + 1 or 0)
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'askedAt', int(asked_at), 'by', ARGV[3])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return int(asked_at)
