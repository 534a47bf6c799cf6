-- Brings back the API tokens of a backup, all in one step. One that has expired stays so. Where tokens of that time are still
-- here, Redis lost none, or this backup was restored before: one that is missing was revoked since, and stays so too.
-- KEYS 1 api tokens
-- ARGV 1 when the backup was taken  2 '1' = also what was revoked or is another one here  3 '1' = nothing is written: it is only told
--      4 most tokens that are kept  then records as JSON
-- Returns {outcome, why, …}, two for each record: restored | same | kept (newer here) | ended
-- @include _common

local FIRST_RECORD = 5

local taken_at, overwrites, is_dry, limit = tonumber(ARGV[1]), ARGV[2] == '1', ARGV[3] == '1', tonumber(ARGV[4])
local now = clock()
local kept, count, knows = {}, 0, false
local flat = first_call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  local record = decoded(flat[i + 1])
  if record then
    kept[flat[i]] = record
    local made = number(record.createdAt) or now
    knows = knows or made <= taken_at or number(record.restoredFrom or '') == taken_at
  end
  count = count + 1
end

local function judge(record)
  local here = kept[record.id]
  if record.expiresAt and record.expiresAt <= now then
    return 'ended', 'it has expired'
  elseif here and here.hash == record.hash and here.role == record.role then
    return 'same'
  elseif not overwrites and here then
    return 'kept', 'there is another token with this id'
  elseif not overwrites and knows then
    return 'kept', 'it was revoked since'
  elseif not here and count >= limit then
    return 'kept', 'there are as many tokens as may be'
  end
  return 'restored'
end

local told = {}
for i = FIRST_RECORD, #ARGV do
  local record = cjson.decode(ARGV[i])
  local outcome, why = judge(record)
  told[#told + 1] = outcome
  told[#told + 1] = why or ''
  if outcome == 'restored' then
    count = kept[record.id] and count or count + 1
    kept[record.id] = record
    record.restoredFrom = taken_at
    if not is_dry then
      redis.call('HSET', KEYS[1], record.id, cjson.encode(record))
    end
  end
end
return told
