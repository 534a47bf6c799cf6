-- Under which keys the entries of a vault are sealed. A sealed text is `v1.<key id>.<…>`.
-- KEYS 1 vault
-- Returns [key id, …], each once; '' for what is no sealed text
-- @include _common

local seen, ids = {}, {}
local flat = first_call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  if flat[i] ~= 'revision' then
    local id = string.match(flat[i + 1], '^v1%.(%x+)%.') or ''
    if not seen[id] then
      seen[id] = true
      ids[#ids + 1] = id
    end
  end
end
return ids
