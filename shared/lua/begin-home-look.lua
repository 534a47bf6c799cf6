-- Whether a home may be looked at now: of all processes, one looks, and not again for a while.
-- KEYS 1 when looks began
-- ARGV 1 user  2 not again for so many ms
-- Returns 1 = look now, 0 = somebody did, or does
-- @include _common

local now = clock()
local began = number(first_call('HGET', KEYS[1], ARGV[1]) or '')
-- One in the future was written while the clock was ahead.
if began and began <= now and now - began < tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], int(now))
return 1
