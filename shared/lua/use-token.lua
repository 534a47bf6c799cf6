-- Spends a terminal token: a token id passes once.
-- KEYS 1 jti
-- ARGV 1 how long the id is remembered, in ms (until the token expires)
-- Returns 1 when it was unused, 0 otherwise
if redis.call('SET', KEYS[1], '1', 'NX', 'PX', tonumber(ARGV[1])) then
  return 1
end
return 0
