-- Makes a terminal session a gateway's, by writing its record. A record never creates desired state.
-- KEYS last: gateways (behind those that all scripts of a user share, however many they are)
-- ARGV 4 session id  5 gateway  6 record as JSON  7 '1' = also from a gateway that lives  8 what happened, for the events ('' = nothing to tell)
-- Returns JSON {before}: the record that another gateway left, as it was stored ('' = none); or {gateway, address} where that one lives; or {ending} while the sweep ends it
-- @include _box

local id, gateway, record, take_over, told = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local now = clock()
local before = first_call('HGET', SESSIONS, id) or ''
local stored = decoded(before) or {}
if is_ending(stored, now) then
  return cjson.encode({ ending = true })
end
local other = stored.gateway
local outlives = stored.persist == 'tmux'
if type(other) ~= 'string' or (other == gateway and not outlives) then
  before = '' -- its own, or damaged: as good as lost
elseif other ~= gateway and take_over ~= '1' then
  local lives = decoded(first_call('HGET', KEYS[#KEYS], other) or '') or {}
  if (number(lives.expiresAt) or 0) > now then
    return cjson.encode({ gateway = other, address = type(lives.address) == 'string' and lives.address or '' })
  end
end
if outlives and before ~= '' then
  -- Until the shell is resumed nothing of it is forgotten: whoever fails half-way leaves it to the next.
  local kept = decoded(record)
  kept.persist, kept.containerId, kept.execId = stored.persist, stored.containerId, stored.execId
  kept.startedAt, kept.record = stored.startedAt, stored.record
  kept.directory, kept.checkout = stored.directory, stored.checkout
  kept.tickets = type(stored.tickets) == 'table' and next(stored.tickets) and stored.tickets or nil
  record = cjson.encode(kept)
end
claim_name()
redis.call('HSET', SESSIONS, id, record)
if told ~= '' then
  log_event('SessionStarted', told, 'gateway')
end
-- Who had it is to notice.
redis.call('PUBLISH', STATUS_CHANNEL, before == '' and LATER .. USER or USER)
return cjson.encode({ before = before })
