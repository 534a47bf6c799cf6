-- An operator pauses rollouts, or lets them go on. Every pass reads it, and the commit script asks again: once a pause is
-- answered, no box is replaced any more because its image or class changed.
-- KEYS 1 rollout
-- ARGV 1 wake channel  2 what wakes everybody  3 1 = paused, 0 = not  4 reason  5 by
--      6 the times of setting that the pause of before may have, as a JSON list ('' = whichever it is)
-- Returns JSON {now, pause: {paused, reason, by, since}, set}. Not set: another one stands by now, and that is the one returned.
-- @include _common
-- @include _rollout
-- @include _expected

local now = clock()
local before = load_rollout(KEYS[1], now)
if not is_expected(ARGV[6], before.since, true) then
  return cjson.encode({ now = now, pause = before, set = false })
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'paused', ARGV[3], 'reason', ARGV[4], 'by', ARGV[5], 'since', int(now))
redis.call('PUBLISH', ARGV[1], ARGV[2])
return cjson.encode({ now = now, pause = load_rollout(KEYS[1], now), set = true })
