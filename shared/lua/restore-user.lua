-- Brings back what a backup kept of one user, in one step, so that what was interrupted is repeated user by user. What is newer
-- here stays, unless it is to be overwritten. No wish is repeated and no lease is taken away: nothing that runs is ended by it.
-- ARGV 4 by  5 when the backup was taken  6 '1' = also over what is newer  7 '1' = nothing is written: it is only told
--      8 most live leases a user may have
--      9 desired state as JSON {class, generation} ('' = none)  10 pins, JSON array of leases
--      11 revision of the vault (0 = none)  12 what was asked of the home for its sake, JSON array of [field, order]
--      then pairs: field, sealed text
-- Returns {part, outcome, why, …}: part is desired | vault | pin <id>; outcome is restored | same | kept (newer here) | ended;
--   or {refused: 'name-differs-by-case', the known name} as {'refused', code, detail}
-- @include _box
-- @include _vault
-- @include _vault-orders

local FIRST_PAIR = 13

local by, taken_at, overwrites, is_dry = ARGV[4], tonumber(ARGV[5]), ARGV[6] == '1', ARGV[7] == '1'
local limit = tonumber(ARGV[8])
local wanted = ARGV[9] ~= '' and cjson.decode(ARGV[9]) or nil
local pins, backed_revision, orders = cjson.decode(ARGV[10]), tonumber(ARGV[11]), cjson.decode(ARGV[12])
local now = clock()

local known = first_call('HGET', USERS, string.lower(USER))
if known and known ~= USER then
  return { 'refused', 'name-differs-by-case', known }
end

local desired = load_desired(now)
local status = load_status()
local live = load_leases(desired, now)
local told, brought = {}, {}

local function tell(part, outcome, why)
  for _, text in ipairs({ part, outcome, why or '' }) do
    told[#told + 1] = text
  end
  if outcome == 'restored' then
    brought[#brought + 1] = part
  end
  return outcome == 'restored' and not is_dry
end

-- Desired state outlived the loss, or this very backup brought it back before: what is missing beside it was ended since.
local function outlived(generation)
  return desired ~= nil
    and (number(desired.generation) == generation or number(desired.restoredFrom) == generation)
    and not (#live == 0 and (number(desired.heldUntil) or 0) > now)
end
local is_survivor = wanted ~= nil and outlived(wanted.generation)
local is_reaped = desired ~= nil and (number(desired.reapGeneration) or 0) > taken_at

local function judge_desired()
  if desired == nil then
    return 'restored'
  elseif desired.class == wanted.class then
    return 'same'
  elseif #live > 0 then
    return 'kept', 'leases hold the box with the class ' .. desired.class
  elseif not overwrites and number(desired.generation) > wanted.generation then
    return 'kept', 'the class ' .. desired.class .. ' is wanted since'
  end
  return 'restored'
end

local function restore_desired()
  local current = number((desired or {}).generation) or 0
  local generation = next_generation({ generation = math.max(current, wanted.generation) }, status, now)
  desired = desired or {}
  desired.class, desired.generation = wanted.class, int(generation)
  -- Nothing is known of who needs the box now; that is not the same as nobody.
  desired.lastActivityAt, desired.lastActivityCause = int(now), 'restored'
  redis.call('HSET', DESIRED, 'class', desired.class, 'generation', desired.generation, 'lastActivityAt', int(now),
    'lastActivityCause', 'restored', 'lastInputAt', int(now), 'restoredFrom', int(wanted.generation))
end

local function judge_pin(pin, room)
  local held = lease_among(live, pin.id)
  if pin.expiresAt <= now then
    return 'ended', 'its time is over'
  elseif held and held.kind == 'pin' and held.holder == pin.holder then
    return 'same'
  elseif held then
    return 'kept', 'a live ' .. held.kind .. ' lease of ' .. held.holder .. ' has this name'
  elseif room < 1 then
    return 'kept', 'the user holds as many leases as may be'
  elseif overwrites then
    return 'restored'
  elseif is_reaped then
    return 'kept', 'the box was reaped since'
  elseif is_survivor or redis.call('HGET', LEASES, pin.id) then
    return 'kept', 'it was given back since'
  end
  return 'restored'
end

local function restore_pin(pin)
  pin.takenAt = math.min(pin.takenAt, now)
  pin.expiresAt = math.min(pin.expiresAt, now + LONGEST_MS.pin)
  redis.call('HSET', LEASES, pin.id, cjson.encode(pin))
  live[#live + 1] = pin
  redis.call('HDEL', DESIRED, 'deletedAt')
  redis.call('HSET', DESIRED, 'restoredFrom', int(wanted.generation))
  move_activity(desired, now, 'restored')
end

local revision = vault_revision(VAULT, now)
local stored = table_of(redis.call('HGETALL', VAULT))
stored.revision = nil

-- Events of before a loss went with it: one that is newer than the backup tells of what was done to this very vault.
local function was_changed()
  for _, entry in ipairs(first_call('XRANGE', EVENTS, '-', '+')) do
    local event = decoded(entry[2][2])
    if tonumber(string.match(entry[1], '^%d+')) > taken_at and event and event.reason == 'VaultChanged' then
      return true
    end
  end
  return false
end

local function judge_vault()
  local before = {}
  for field, sealed in pairs(stored) do
    before[field] = sealed
  end
  local is_same = true
  for i = FIRST_PAIR, #ARGV, 2 do
    is_same = is_same and before[ARGV[i]] == ARGV[i + 1]
    before[ARGV[i]] = nil
  end
  -- A rotation seals anew, and leaves the revision.
  if revision == backed_revision or (is_same and next(before) == nil) then
    return 'same'
  elseif revision > backed_revision and not overwrites then
    return 'kept', 'it was changed since'
  elseif revision == 0 and not overwrites and (is_survivor or was_changed()) then
    return 'kept', 'it was emptied since'
  end
  return 'restored'
end

-- What was asked of the home and not done yet. Each keeps its revision, by which the home knows what it has done.
local function restore_orders(next_revision)
  for _, order in ipairs(orders) do
    local asked = redis.call('HGET', VAULT_ORDERS, order[1]) or order[2]
    redis.call('HSET', VAULT_ORDERS, 'revision', int(next_revision), order[1], asked)
    redis.call('PERSIST', VAULT_ORDERS)
  end
end

local function restore_vault()
  redis.call('DEL', VAULT)
  for i = FIRST_PAIR, #ARGV, 2 do
    redis.call('HSET', VAULT, ARGV[i], ARGV[i + 1])
    stored[ARGV[i]] = nil
  end
  -- Larger than what any box may have had written into it since.
  local next_revision = next_revision_of(math.max(revision, backed_revision), VAULT_ORDERS, now)
  redis.call('HSET', VAULT, 'revision', int(next_revision))
  restore_orders(next_revision)
  -- What is not in the vault any more goes from the home too, as when somebody removes it.
  for field in pairs(stored) do
    if string.sub(field, 1, 2) == 'f:' then
      give_order(VAULT_ORDERS, string.sub(field, 3), 'drop', next_revision)
    end
  end
end

-- Nothing was left in the vault, but in the home, where no box had run since.
local function judge_emptied()
  if revision > 0 then
    return 'ended', 'it was filled since'
  elseif is_survivor then
    return 'same'
  end
  for _, order in ipairs(orders) do
    if redis.call('HGET', VAULT_ORDERS, order[1]) ~= order[2] then
      return 'restored'
    end
  end
  return 'same'
end

if wanted and tell('desired', judge_desired()) then
  restore_desired()
end
local room = limit - #live
for _, pin in ipairs(pins) do
  local outcome, why = judge_pin(pin, room)
  if outcome == 'restored' then
    room = room - 1
  end
  if tell('pin ' .. pin.id, outcome, why) then
    restore_pin(pin)
  end
end
if backed_revision > 0 then
  if tell('vault', judge_vault()) then
    restore_vault()
  end
elseif #orders > 0 and tell('vault', judge_emptied()) then
  restore_orders(next_revision_of(0, VAULT_ORDERS, now))
end
if #brought > 0 and not is_dry then
  claim_name()
  note_leases(desired, live)
  log_event('Restored', table.concat(brought, ', ') .. ' came back from a backup', by)
  forget_if_gone()
  wake()
end
return told
