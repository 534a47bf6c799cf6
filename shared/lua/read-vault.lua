-- Reads what a vault holds, sealed.
-- KEYS 1 vault
-- ARGV 1 all | variables | one | none  2 field (one)
-- Returns {revision, field, sealed text, …}; revision 0 = there is no vault
-- @include _common
-- @include _vault

local vault, wanted = KEYS[1], ARGV[1]
local reply = { int(vault_revision(vault, clock())) }

local function add(field)
  local sealed = redis.call('HGET', vault, field)
  if sealed then
    reply[#reply + 1] = field
    reply[#reply + 1] = sealed
  end
end

if wanted == 'one' then
  add(ARGV[2])
elseif wanted ~= 'none' then
  for _, field in ipairs(redis.call('HKEYS', vault)) do
    local kind = string.sub(field, 1, 2)
    if kind == 'e:' or (kind == 'f:' and wanted == 'all') then
      add(field)
    end
  end
end
return reply
