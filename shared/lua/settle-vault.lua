-- Forgets the orders that were carried out.
-- KEYS 1 orders
-- ARGV 1 the revision as of which the home is as it is to be
-- Returns how many are left
-- @include _common

local orders, done = KEYS[1], tonumber(ARGV[1])
local left = 0
for _, field in ipairs(first_call('HKEYS', orders)) do
  if field ~= 'revision' then
    local given = number(string.match(redis.call('HGET', orders, field), ':(%d+)$') or '')
    if given and given > done then
      left = left + 1
    else
      redis.call('HDEL', orders, field)
    end
  end
end
if left == 0 then
  redis.call('DEL', orders)
end
return left
