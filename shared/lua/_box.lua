-- Common part of every script that works on one user's box. Included by name; never run alone.
--
-- KEYS   1 users  2 leader  3 heartbeat  4 marker  5 desired  6 leases  7 sessions  8 status  9 events  10 vault
-- ARGV   1 user   2 wake channel   3 status channel   then each script's own, from 4 on
--
-- Time is Redis TIME in milliseconds. No other clock is ever compared with it.

local USERS, LEADER, MARKER = KEYS[1], KEYS[2], KEYS[4]
local DESIRED, LEASES, SESSIONS, STATUS, EVENTS, VAULT = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local USER, WAKE_CHANNEL, STATUS_CHANNEL = ARGV[1], ARGV[2], ARGV[3]

local TOMBSTONE_MS = 600000 -- how long the reason of an ended lease can still be asked for
local EVENTS_KEPT = 200
local EVENTS_KEPT_AFTER_DELETE_S = 604800
local OUTPUT_COUNTS_MS = 43200000 -- output is activity for this long after the last input: a build survives, a forgotten `top` does not

local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Lua prints 14 digits; this prints them all, and never an exponent.
local function int(number)
  return string.format('%.0f', number)
end

local function table_of(flat)
  local result = {}
  for i = 1, #flat, 2 do
    result[flat[i]] = flat[i + 1]
  end
  return result
end

local function load_desired()
  local flat = redis.call('HGETALL', DESIRED)
  if #flat == 0 then
    return nil
  end
  return table_of(flat)
end

local function log_event(reason, message, by)
  local event = cjson.encode({ reason = reason, message = message, by = by })
  redis.call('XADD', EVENTS, 'MAXLEN', '~', EVENTS_KEPT, '*', 'event', event)
end

local function wake()
  redis.call('PUBLISH', WAKE_CHANNEL, USER)
end

-- The user index maps the lower-case name to the name, so that two names which differ only by case cannot both exist.
-- Returns the other name where there is one.
local function claim_name()
  local known = redis.call('HGET', USERS, string.lower(USER))
  if known and known ~= USER then
    return known
  end
  if not known then
    redis.call('HSET', USERS, string.lower(USER), USER)
  end
  return nil
end

-- Activity only ever moves forward, and only where desired state exists: it never creates.
local function move_activity(desired, at, cause)
  if desired == nil or at <= (tonumber(desired.lastActivityAt) or 0) then
    return
  end
  desired.lastActivityAt = int(at)
  desired.lastActivityCause = cause
  redis.call('HSET', DESIRED, 'lastActivityAt', int(at), 'lastActivityCause', cause)
end

local function end_lease(lease, at, reason, by)
  lease.endedAt = at
  lease.endReason = reason
  redis.call('HSET', LEASES, lease.id, cjson.encode(lease))
  log_event('LeaseEnded', lease.kind .. ' lease of ' .. lease.holder .. ' ended: ' .. reason, by)
end

-- Live leases as tables. On the way, expired ones become tombstones (their end counts as activity at that moment,
-- so the idle clock starts when the last holder leaves), and old tombstones go.
local function load_leases(desired, now)
  local live = {}
  local flat = redis.call('HGETALL', LEASES)
  for i = 1, #flat, 2 do
    local lease = cjson.decode(flat[i + 1])
    if lease.endedAt then
      if lease.endedAt + TOMBSTONE_MS <= now then
        redis.call('HDEL', LEASES, flat[i])
      end
    elseif lease.expiresAt <= now then
      end_lease(lease, lease.expiresAt, 'expired', 'spoonbox')
      move_activity(desired, lease.expiresAt, 'lease-expired')
    else
      live[#live + 1] = lease
    end
  end
  return live
end

-- Everything that holds a running box, each with the time until which it does. The latest of them is `wantedUntil`.
-- `policies` is {class: [detachedIdleMs, attachedIdleMs]}, with '*' for a class that is not known here.
local function holds_of(desired, live, keep_until, keep_cause, policies)
  local policy = policies[(desired or {}).class or '*'] or policies['*']
  local detached_idle, attached_idle = policy[1], policy[2]
  local holds, attached = {}, false
  local last = tonumber((desired or {}).lastActivityAt) or 0
  for _, lease in ipairs(live) do
    if lease.kind == 'terminal' then
      attached = true
      last = math.max(last, lease.takenAt)
    else
      holds[#holds + 1] = { by = lease.kind, holder = lease.holder, untilMs = lease.expiresAt + detached_idle }
    end
  end
  local cause = (desired or {}).lastActivityCause or ''
  if attached then
    holds[#holds + 1] = { by = 'attached', holder = cause, untilMs = last + attached_idle }
  elseif #live == 0 and last > 0 then
    holds[#holds + 1] = { by = 'activity', holder = cause, untilMs = last + detached_idle }
  end
  if keep_until > 0 then
    holds[#holds + 1] = { by = 'keep', holder = keep_cause, untilMs = keep_until }
  end
  return holds
end

local function latest(holds)
  local wanted_until = 0
  for _, hold in ipairs(holds) do
    wanted_until = math.max(wanted_until, hold.untilMs)
  end
  return wanted_until
end

-- A generation is larger than every one before it, also than those that a container's label still carries after Redis
-- was emptied or restored: it never falls behind Redis' own time.
local function next_generation(desired, now)
  local current = tonumber((desired or {}).generation) or 0
  local of_container = tonumber(redis.call('HGET', STATUS, 'containerGeneration') or '0') or 0
  return math.max(current + 1, of_container + 1, now)
end
