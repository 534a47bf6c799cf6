-- The vault's file is to be in the home, whatever is there now.
-- ARGV 4 path  5 by
-- Returns JSON {revision}, or {refused: 'entry-unknown', detail: path}
-- @include _box
-- @include _vault
-- @include _vault-orders

local path, by = ARGV[4], ARGV[5]
local now = clock()
local revision = vault_revision(VAULT, now)
if not redis.call('HGET', VAULT, 'f:' .. path) then
  return cjson.encode({ refused = 'entry-unknown', detail = path })
end
local next_revision = next_revision_of(revision, VAULT_ORDERS, now)
redis.call('HSET', VAULT, 'revision', int(next_revision))
give_order(VAULT_ORDERS, path, 'take', next_revision)
log_event('VaultChanged', path .. ' is to be as the vault has it', by)
wake()
return cjson.encode({ revision = next_revision })
