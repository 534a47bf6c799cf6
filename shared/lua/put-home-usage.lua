-- What a look at a home told, or why it told nothing: then what was told before stays.
-- KEYS 1 home usage
-- ARGV 1 user  2 wake channel  3 class  4 bytes ('' = not told)  5 '1' = all of it  6 why it was not told
-- Returns nothing
-- @include _common

local before = decoded(first_call('HGET', KEYS[1], ARGV[1]) or '') or {}
local usage = { user = ARGV[1], class = ARGV[3], problem = ARGV[6] }
if ARGV[4] ~= '' then
  usage.usedBytes = tonumber(ARGV[4])
  usage.measuredAt = clock()
  usage.isWhole = ARGV[5] == '1'
else
  usage.usedBytes = number(before.usedBytes)
  usage.measuredAt = number(before.measuredAt)
  usage.isWhole = before.isWhole == true
end
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(usage))
redis.call('PUBLISH', ARGV[2], ARGV[1])
