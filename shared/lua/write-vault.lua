-- Changes what a vault holds, all of it or nothing. A vault needs no desired state, and creates none.
-- ARGV 4 by  5 what is told as an event
--      6 revisions of which the vault has to be, JSON array of numbers, 0 = there is none ('' = any, '*' = any, but there is one)
--      7 '1' = nothing is written: it is only told whether it would be refused
--      8 limits as JSON {files, variables, bytes, frame, extra}: `bytes` of what is in the sealed texts, each of which is `frame`
--        characters and then base64 of what is in it and `extra` bytes
--      9 fields to remove, JSON array  then pairs: field, sealed text
-- Returns JSON {revision}, or {refused: 'precondition-failed', detail: the revision as it is}, {refused: 'entry-unknown', detail: field},
--   {refused: 'vault-full', detail: files | variables | bytes}, {refused: 'path-conflict', detail: path},
--   {refused: 'name-differs-by-case', detail}
-- @include _box
-- @include _vault
-- @include _vault-orders
-- @include _expected

local FIRST_PAIR = 10

local by, told, expected, is_dry = ARGV[4], ARGV[5], ARGV[6], ARGV[7] == '1'
local limits, removed = cjson.decode(ARGV[8]), cjson.decode(ARGV[9])
local now = clock()
local revision = vault_revision(VAULT, now)

local function refuse(code, detail)
  return cjson.encode({ refused = code, detail = detail })
end

if not is_expected(expected, revision, revision > 0) then
  return refuse('precondition-failed', int(revision))
end

-- The vault as it would be.
local before = table_of(redis.call('HGETALL', VAULT))
local after = {}
for field, sealed in pairs(before) do
  after[field] = sealed
end
after.revision = nil
for _, field in ipairs(removed) do
  if not before[field] then
    return refuse('entry-unknown', field)
  end
  after[field] = nil
end
for i = FIRST_PAIR, #ARGV, 2 do
  after[ARGV[i]] = ARGV[i + 1]
end

local count, bytes = { f = 0, e = 0 }, 0
for field, sealed in pairs(after) do
  local kind = string.sub(field, 1, 1)
  count[kind] = (count[kind] or 0) + 1
  bytes = bytes + math.max(0, math.floor((#sealed - limits.frame) * 3 / 4) - limits.extra)
end

-- Removing is never refused for what is too much already.
local adds = #ARGV >= FIRST_PAIR
if adds and count.f > limits.files then
  return refuse('vault-full', 'files')
elseif adds and count.e > limits.variables then
  return refuse('vault-full', 'variables')
elseif adds and bytes > limits.bytes then
  return refuse('vault-full', 'bytes')
end

-- No file where another one needs a directory.
for field in pairs(after) do
  if string.sub(field, 1, 2) == 'f:' then
    for place in string.gmatch(field, '()/') do
      local parent = string.sub(field, 1, place - 1)
      if adds and after[parent] then
        return refuse('path-conflict', string.sub(parent, 3))
      end
    end
  end
end

local known = first_call('HGET', USERS, string.lower(USER))
if known and known ~= USER then
  return refuse('name-differs-by-case', known)
elseif is_dry then
  return cjson.encode({ revision = revision })
end
claim_name()

local next_revision = next_revision_of(revision, VAULT_ORDERS, now)
for field in pairs(before) do
  if field ~= 'revision' and not after[field] then
    redis.call('HDEL', VAULT, field)
    if string.sub(field, 1, 2) == 'f:' then
      give_order(VAULT_ORDERS, string.sub(field, 3), 'drop', next_revision)
    end
  end
end
for i = FIRST_PAIR, #ARGV, 2 do
  redis.call('HSET', VAULT, ARGV[i], ARGV[i + 1])
end

if next(after) ~= nil then
  redis.call('HSET', VAULT, 'revision', int(next_revision))
else
  next_revision = 0
  redis.call('DEL', VAULT)
end
log_event('VaultChanged', told, by)
forget_if_gone()
wake()
return cjson.encode({ revision = next_revision })
