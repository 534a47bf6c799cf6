-- Spends a login code, and keeps the hash of the console's cookie in its place.
-- KEYS 1 login code  2 login  3 api tokens
-- ARGV 1 ttlMs of the login
-- Returns JSON {name, tokenId, role, expiresAt}, or {refused: 'login-code-wrong'}: never made, used, too old, or its maker is revoked
-- @include _access

local now, ttl = clock(), tonumber(ARGV[1])
local maker = decoded(first_call('GET', KEYS[1]) or '')
redis.call('DEL', KEYS[1])
if not maker or not maker_lives(maker, KEYS[3], now) then
  return cjson.encode({ refused = 'login-code-wrong' })
end
local login = { name = maker.name, tokenId = maker.tokenId, role = maker.role, expiresAt = now + ttl }
redis.call('SET', KEYS[2], cjson.encode(login), 'PX', ttl)
return cjson.encode(login)
