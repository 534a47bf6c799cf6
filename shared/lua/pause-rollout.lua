-- An operator pauses rollouts, or lets them go on. Every pass reads it, and the commit script asks again: once a pause is
-- answered, no box is replaced any more because its image or class changed.
-- KEYS 1 rollout
-- ARGV 1 wake channel  2 what wakes everybody  3 1 = paused, 0 = not  4 reason  5 by
-- Returns JSON {paused, reason, by, since}
-- @include _common
-- @include _rollout

local now = clock()
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'paused', ARGV[3], 'reason', ARGV[4], 'by', ARGV[5], 'since', int(now))
redis.call('PUBLISH', ARGV[1], ARGV[2])
return cjson.encode(load_rollout(KEYS[1], now))
