-- The one way a status changes, and the one permission to change a container.
-- KEYS last: rollout (behind those that all scripts of a user share)
-- ARGV 4 leader token  5 version that the pass read (0 = none)
--      6 status as JSON {phase, containerId, containerGeneration, keepUntil, keepCause, body}  ('' or 0 = none)
--      7 intent as JSON {kind: none|drain|forget, cause, containerId}   8 policies as JSON   9 events as JSON [{reason, message, edge: {from, to, rule} or none}]
--      10 the reconciler's mode that the pass read
-- A drain states why; the script decides again, on what is true now, whether that still holds. A drain of this container that
-- was committed before goes on: it is never undone.
--   idle        nobody holds the box (terminals that were idle too long are ended here, in this same commit), and this is the
--               very Redis that the leader trusts: the mark is its run id
--   gave-way    somebody waits for a box, and this one is idle: nobody holds it or may come back to a terminal in it, and nothing but
--               activity of some time ago keeps it; on the very Redis that is trusted, as for `idle`
--   reap, recreate, deleted   an operator's wish is newer than the container
--   rollout     its image or class changed, rollouts are not paused, this is the very Redis that the leader trusts, and nobody
--               holds the box: no lease, no grant of time, no terminal whose user may come back
--   adopt       the operator named this very container, by its id or by the beginning that people are shown
--   stopped, duplicate        the container does not run, or is a second one of ours: leader and version suffice
-- forget: after a delete, with no container and no newer lease, the user's state goes (vault and home stay).
-- Returns JSON {version, now} or {refused: not-leader | stale | still-wanted | untrusted, detail}
-- @include _box
-- @include _mode
-- @include _rollout

local SHORT_ID_LENGTH = 12

local token, version = ARGV[4], tonumber(ARGV[5])
local status, intent = cjson.decode(ARGV[6]), cjson.decode(ARGV[7])
local events = cjson.decode(ARGV[9])

local function refuse(code, detail)
  return cjson.encode({ refused = code, detail = detail })
end

if first_call('GET', LEADER) ~= token then
  return refuse('not-leader', '')
end
local now = clock()
local stored = load_status()
local stored_version = stored and number(stored.version) or 0
if stored_version ~= version then
  return refuse('stale', 'version ' .. int(stored_version))
end

-- Whoever drains or pauses knows that after the answer nothing of before is permitted any more. What was permitted just before
-- may still be under way.
local mode = load_mode(MODE, now).mode
if mode ~= ARGV[10] then
  return refuse('stale', 'the mode is ' .. mode)
end

local desired = load_desired(now)
local live = load_leases(desired, now)

-- Redis is the very server that the leader trusts: nobody's leases were lost with another one.
local function is_trusted()
  return first_call('GET', MARKER) == string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
end

-- Who holds the box although no lease may be live, for people; nil = nobody.
local function holder_of(container_id)
  if #live > 0 then
    return 'a ' .. live[1].kind .. ' lease of ' .. live[1].holder
  end
  for _, hold in ipairs(holds_of(desired, live, stored, now, cjson.decode(ARGV[8]))) do
    if hold.by == 'keep' and now < hold.untilMs then
      return hold.holder
    end
  end
  for _, line in ipairs(first_call('HVALS', SESSIONS)) do
    local session = decoded(line)
    if session and session.containerId == container_id then
      return 'a terminal whose user may come back'
    end
  end
  return nil
end

local begun = stored ~= nil and stored.drainedId == intent.containerId

if intent.kind == 'drain' and not begun then
  local generation = tonumber(status.containerGeneration) or 0
  local wish = desired or {}
  if intent.cause == 'idle' or intent.cause == 'gave-way' or intent.cause == 'rollout' then
    if not is_trusted() then
      return refuse('untrusted', 'Redis was restarted or emptied and is not trusted yet')
    end
  end
  if intent.cause == 'idle' then
    local wanted_until = latest(holds_of(desired, live, stored, now, cjson.decode(ARGV[8])))
    if now < wanted_until then
      return refuse('still-wanted', 'until ' .. int(wanted_until))
    end
    end_all(desired, live, now, 'attached-idle', 'spoonbox')
  elseif intent.cause == 'gave-way' then
    local free_at = gives_way_at(desired, live, first_call('HVALS', SESSIONS), stored, now, cjson.decode(ARGV[8]))
    if not free_at or now < free_at then
      return refuse('still-wanted', free_at and 'until ' .. int(free_at) or 'somebody holds it')
    end
  elseif intent.cause == 'reap' or intent.cause == 'deleted' then
    if generation >= (number(wish.reapGeneration) or 0) then
      return refuse('still-wanted', 'no reap is asked for')
    end
  elseif intent.cause == 'recreate' then
    if generation >= (number(wish.recreateGeneration) or 0) then
      return refuse('still-wanted', 'no recreate is asked for')
    end
  elseif intent.cause == 'rollout' then
    if load_rollout(KEYS[#KEYS], now).paused then
      return refuse('still-wanted', 'rollouts are paused')
    end
    if desired == nil then
      return refuse('still-wanted', 'its desired state was lost')
    end
    local holder = holder_of(intent.containerId)
    if holder then
      return refuse('still-wanted', 'held by ' .. holder)
    end
  elseif intent.cause == 'adopt' then
    local named = wish.adoptContainerId or ''
    local is_short = #named >= SHORT_ID_LENGTH and string.sub(intent.containerId, 1, #named) == named
    if named ~= intent.containerId and not is_short then
      return refuse('still-wanted', 'no consent to replace this container')
    end
  elseif intent.cause ~= 'stopped' and intent.cause ~= 'duplicate' then
    return refuse('still-wanted', 'unknown cause ' .. tostring(intent.cause))
  end
end

if intent.kind == 'forget' then
  if #live > 0 or not (desired and desired.deletedAt) then
    return refuse('still-wanted', 'a newer lease came')
  end
  log_event('Forgotten', 'state removed after a delete; the home and the vault stay', 'spoonbox')
  redis.call('DEL', DESIRED, LEASES, SESSIONS, STATUS)
  redis.call('EXPIRE', EVENTS, EVENTS_KEPT_AFTER_DELETE_S)
  if redis.call('EXISTS', VAULT) == 0 then
    redis.call('HDEL', USERS, string.lower(USER))
    redis.call('EXPIRE', VAULT_ORDERS, EVENTS_KEPT_AFTER_DELETE_S)
  end
  redis.call('PUBLISH', STATUS_CHANNEL, USER)
  return cjson.encode({ version = 0, now = now })
end

claim_name()
redis.call('PERSIST', EVENTS)
redis.call('HSET', STATUS, 'version', int(version + 1), 'phase', status.phase, 'containerId', status.containerId,
  'containerGeneration', int(status.containerGeneration), 'keepUntil', int(status.keepUntil),
  'keepCause', status.keepCause, 'body', status.body)
if intent.kind == 'drain' then
  redis.call('HSET', STATUS, 'drainedId', intent.containerId)
end
for _, event in ipairs(events) do
  log_event(event.reason, event.message, 'spoonbox', event.edge)
end
redis.call('PUBLISH', STATUS_CHANNEL, USER)
return cjson.encode({ version = version + 1, now = now })
