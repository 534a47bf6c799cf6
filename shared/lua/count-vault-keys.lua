-- Under which keys the entries of a vault are sealed. A sealed text is `v1.<key id>.<…>`.
-- KEYS 1 vault
-- Returns {key id, number of entries, …}; '' for what is no sealed text
-- @include _common

local count = {}
local flat = first_call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  if flat[i] ~= 'revision' then
    local id = string.match(flat[i + 1], '^v1%.(%x+)%.') or ''
    count[id] = (count[id] or 0) + 1
  end
end
local reply = {}
for id, entries in pairs(count) do
  reply[#reply + 1] = id
  reply[#reply + 1] = int(entries)
end
return reply
