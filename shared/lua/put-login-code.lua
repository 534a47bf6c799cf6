-- Keeps the hash of a code that logs one browser in.
-- KEYS 1 login code
-- ARGV 1 who made it, as JSON {name, tokenId, role}  2 ttlMs
-- Returns when it ends, in ms
-- @include _common

redis.call('SET', KEYS[1], ARGV[1], 'PX', tonumber(ARGV[2]))
return int(clock() + tonumber(ARGV[2]))
