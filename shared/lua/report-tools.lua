-- The leader tells which of the tools that a class promises are in its image.
-- KEYS 1 leader  2 tools
-- ARGV 1 leader token  2 class  3 the report
-- Returns 1; 0 = another leads
-- @include _common

if first_call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
first_call('HLEN', KEYS[2])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
return 1
