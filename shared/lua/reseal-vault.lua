-- Puts one sealed text in the place of another that holds the same: what the vault holds, and so its revision, stays.
-- KEYS 1 vault
-- ARGV 1 field  2 sealed text as it was read  3 the new one
-- Returns 1, or 0 where it was changed meanwhile
-- @include _common

if first_call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
