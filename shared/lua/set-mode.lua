-- An operator sets the reconciler's mode. Every pass reads it, and the commit script asks again: after this answer no command
-- of another mode is permitted any more. One that was permitted just before may still be under way.
-- KEYS 1 mode
-- ARGV 1 wake channel  2 what wakes everybody  3 run | drain | pause  4 reason  5 by
--      6 the times of setting that the mode of before may have, as a JSON list ('' = whichever it is)
-- Returns JSON {now, mode: {mode, reason, by, since}, set}. Not set: another one stands by now, and that is the one returned.
-- @include _common
-- @include _mode
-- @include _expected

local wake_channel, everybody, mode, reason, by = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local now = clock()
local before = load_mode(KEYS[1], now)
if not is_expected(ARGV[6], before.since, true) then
  return cjson.encode({ now = now, mode = before, set = false })
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'mode', mode, 'reason', reason, 'by', by, 'since', int(now))
redis.call('PUBLISH', wake_channel, everybody)
return cjson.encode({ now = now, mode = load_mode(KEYS[1], now), set = true })
