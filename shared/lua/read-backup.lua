-- What a backup keeps of one user: desired state, the pins that are live, and the vault as it is sealed. Other leases are
-- their holders', who take them again.
-- Returns {now, [desired field, value, …], [pin JSON, …], [wish that is not done yet, …], vault revision, [vault field, sealed text, …],
--   [field of what is asked of the home for the vault's sake, order, …]}
-- @include _box
-- @include _vault

local now = clock()
local desired = load_desired(now)
local status = load_status()
local pins = {}
for _, lease in ipairs(load_leases(desired, now)) do
  if lease.kind == 'pin' then
    pins[#pins + 1] = cjson.encode(lease)
  end
end

local wishes = {}
local container = status and status.containerId ~= '' and number(status.containerGeneration)
if desired and container then
  if container < (number(desired.reapGeneration) or 0) then
    wishes[1] = desired.deletedAt and 'delete' or 'reap'
  elseif container < (number(desired.recreateGeneration) or 0) then
    wishes[1] = 'recreate'
  end
end
if desired and desired.adoptContainerId and not container then
  wishes[#wishes + 1] = 'adopt'
end

local revision = vault_revision(VAULT, now)
return {
  int(now), redis.call('HGETALL', DESIRED), pins, wishes, int(revision), redis.call('HGETALL', VAULT),
  first_call('HGETALL', VAULT_ORDERS),
}
