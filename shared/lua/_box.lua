-- Common part of every script that works on one user's box. Included by name; never run alone.
--
-- KEYS   1 users  2 leader  3 heartbeat  4 marker  5 desired  6 leases  7 sessions  8 status  9 events  10 vault  11 mode
--        12 events of all
-- ARGV   1 user   2 wake channel   3 status channel   then each script's own, from 4 on
-- @include _common

local USERS, LEADER, MARKER = KEYS[1], KEYS[2], KEYS[4]
local DESIRED, LEASES, SESSIONS, STATUS, EVENTS, VAULT = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local MODE, ALL_EVENTS, VAULT_ORDERS = KEYS[11], KEYS[12], KEYS[13]
local USER, WAKE_CHANNEL, STATUS_CHANNEL = ARGV[1], ARGV[2], ARGV[3]

local LATER = '>' -- before the user in a message: nobody who works on the box has to act on it now
local TOMBSTONE_MS = 600000 -- how long the reason of an ended lease can still be asked for
local TOMBSTONES_KEPT = 256 -- and how many of them
local EVENTS_KEPT = 200
local ALL_EVENTS_KEPT = 5000
local EVENTS_KEPT_AFTER_DELETE_S = 604800
local OUTPUT_COUNTS_MS = 43200000 -- output is activity for this long after the last input: a build survives, a forgotten `top` does not
-- No lease can end later than this from now; one that does was written while Redis' clock was ahead.
local LONGEST_MS = { terminal = 300000, job = 300000, pin = 2592000000 }
local END_REASONS = { released = true, expired = true, reaped = true, deleted = true, ['attached-idle'] = true }
local ENDING_MS = 30000 -- longer than the sweep takes to end a session; a crash in between costs so long
local PHASES = { absent = true, provisioning = true, ready = true, reaping = true, failed = true }

-- `edge` is {from, to, rule} where the box took one, else nil.
local function log_event(reason, message, by, edge)
  local event = cjson.encode({ reason = reason, message = message, by = by, edge = edge })
  first_call('XADD', EVENTS, 'MAXLEN', '~', EVENTS_KEPT, '*', 'event', event)
  -- In one order for all boxes, so that who follows them can go on exactly where it was.
  local told = cjson.encode({ reason = reason, message = message, by = by, edge = edge, user = USER })
  first_call('XADD', ALL_EVENTS, 'MAXLEN', '~', ALL_EVENTS_KEPT, '*', 'event', told)
end

local function wake()
  redis.call('PUBLISH', WAKE_CHANNEL, USER)
end

-- The same where nobody waits for what comes of it.
local function wake_later()
  redis.call('PUBLISH', WAKE_CHANNEL, LATER .. USER)
end

-- The user index maps the lower-case name to the name, so that two names which differ only by case cannot both exist.
-- Returns the other name where there is one.
local function claim_name()
  local known = first_call('HGET', USERS, string.lower(USER))
  if known and known ~= USER then
    return known
  end
  if not known then
    redis.call('HSET', USERS, string.lower(USER), USER)
  end
  return nil
end

-- Desired state as a table of strings, or nil. What cannot be read is gone; unknown activity counts as activity now.
local function load_desired(now)
  local desired = table_of(first_call('HGETALL', DESIRED))
  if next(desired) == nil then
    return nil
  end
  if not number(desired.generation) or (desired.class or '') == '' then
    redis.call('DEL', DESIRED)
    log_event('StateRepaired', 'desired state could not be read and was dropped: the next lease makes it again', 'spoonbox')
    return nil
  end
  if (number(desired.lastActivityAt) or LARGEST) > now then
    desired.lastActivityAt = int(now)
    redis.call('HSET', DESIRED, 'lastActivityAt', int(now))
  end
  desired.lastActivityCause = desired.lastActivityCause or ''
  for _, field in ipairs({ 'lastInputAt', 'reapGeneration', 'recreateGeneration', 'deletedAt', 'heldUntil' }) do
    if desired[field] and not number(desired[field]) then
      desired[field] = nil
      redis.call('HDEL', DESIRED, field)
    end
  end
  return desired
end

-- The status fields, or nil where there are none. The body is not looked at here.
local function load_status()
  local status = table_of(first_call('HGETALL', STATUS))
  if next(status) == nil then
    return nil
  end
  if PHASES[status.phase or ''] and number(status.version) and number(status.containerGeneration)
    and number(status.keepUntil) and status.containerId and status.keepCause and status.body then
    return status
  end
  redis.call('DEL', STATUS)
  log_event('StateRepaired', 'the stored status could not be read and is made again', 'spoonbox')
  return nil
end

-- Activity only ever moves forward, and only where desired state exists: it never creates.
local function move_activity(desired, at, cause)
  if desired == nil or at <= (number(desired.lastActivityAt) or 0) then
    return
  end
  desired.lastActivityAt = int(at)
  desired.lastActivityCause = cause
  redis.call('HSET', DESIRED, 'lastActivityAt', int(at), 'lastActivityCause', cause)
end

-- Desired state knows until when leases are live, so that losing them alone is seen: it is not the same as having none.
local function note_leases(desired, live)
  if desired == nil then
    return
  end
  local held_until = 0
  for _, lease in ipairs(live) do
    held_until = math.max(held_until, lease.expiresAt)
  end
  if int(held_until) ~= (desired.heldUntil or '0') then
    desired.heldUntil = int(held_until)
    redis.call('HSET', DESIRED, 'heldUntil', int(held_until))
  end
end

local function end_lease(lease, at, reason, by)
  lease.endedAt = at
  lease.endReason = reason
  redis.call('HSET', LEASES, lease.id, cjson.encode(lease))
  log_event('LeaseEnded', lease.kind .. ' lease of ' .. lease.holder .. ' ended: ' .. reason, by)
end

local function end_all(desired, live, at, reason, by)
  for _, lease in ipairs(live) do
    end_lease(lease, at, reason, by)
  end
  note_leases(desired, {})
end

-- A stored lease that has the agreed shape, or nil.
local function lease_of(id, json)
  local lease = decoded(json)
  if lease == nil or lease.id ~= id or LONGEST_MS[lease.kind] == nil or type(lease.holder) ~= 'string'
    or not number(lease.takenAt) or not number(lease.expiresAt) or not number(lease.ttlMs)
    or #id > 100 or not string.match(id, '^%w[%w._:-]*$') then
    return nil
  end
  if lease.endedAt ~= nil and not (number(lease.endedAt) and END_REASONS[lease.endReason]) then
    return nil
  end
  return lease
end

-- Live leases as tables. On the way, expired ones become tombstones (their end counts as activity at that moment,
-- so the idle clock starts when the last holder leaves), and old tombstones go. One that cannot be read is dropped; its
-- holder may be at work, so that too is activity now.
local function load_leases(desired, now)
  local live, ended, changed = {}, {}, false
  local flat = first_call('HGETALL', LEASES)
  for i = 1, #flat, 2 do
    local lease = lease_of(flat[i], flat[i + 1])
    if lease == nil then
      redis.call('HDEL', LEASES, flat[i])
      log_event('StateRepaired', 'a lease could not be read and was dropped: its holder has to take it again', 'spoonbox')
      move_activity(desired, now, 'lease-unreadable')
    elseif lease.endedAt then
      if lease.endedAt + TOMBSTONE_MS <= now then
        redis.call('HDEL', LEASES, lease.id)
      else
        ended[#ended + 1] = lease
      end
    elseif lease.expiresAt <= now then
      end_lease(lease, lease.expiresAt, 'expired', 'spoonbox')
      move_activity(desired, lease.expiresAt, 'lease-expired')
      changed = true
    else
      if lease.expiresAt > now + LONGEST_MS[lease.kind] then
        lease.expiresAt = now + LONGEST_MS[lease.kind]
        redis.call('HSET', LEASES, lease.id, cjson.encode(lease))
        changed = true
      end
      live[#live + 1] = lease
    end
  end
  if #ended > TOMBSTONES_KEPT then
    table.sort(ended, function(a, b) return a.endedAt < b.endedAt end)
    for i = 1, #ended - TOMBSTONES_KEPT do
      redis.call('HDEL', LEASES, ended[i].id)
    end
  end
  if changed then
    note_leases(desired, live)
  end
  return live
end

local function lease_among(live, id)
  for _, lease in ipairs(live) do
    if lease.id == id then
      return lease
    end
  end
  return nil
end

-- Everything that holds a running box, each with the time until which it does. The latest of them is `wantedUntil`.
-- `policies` is {class: [detachedIdleMs, attachedIdleMs, giveWayMs]}, with '*' for a class that is not known here.
local function holds_of(desired, live, status, now, policies)
  desired, status = desired or {}, status or {}
  local policy = policies[desired.class or '*'] or policies['*']
  local detached_idle, attached_idle = policy[1], policy[2]
  local holds, attached = {}, false
  local last = number(desired.lastActivityAt) or 0
  for _, lease in ipairs(live) do
    if lease.kind == 'terminal' then
      attached = true
      last = math.max(last, math.min(lease.takenAt, now))
    else
      holds[#holds + 1] = { by = lease.kind, holder = lease.holder, untilMs = lease.expiresAt + detached_idle }
    end
  end
  local cause = desired.lastActivityCause or ''
  if attached then
    holds[#holds + 1] = { by = 'attached', holder = cause, untilMs = last + attached_idle }
  elseif #live == 0 and last > 0 then
    holds[#holds + 1] = { by = 'activity', holder = cause, untilMs = last + detached_idle }
  end
  -- Nothing writes down the end of a lost lease: as of any other, the idle clock starts at it.
  local held_until = number(desired.heldUntil) or 0
  if #live == 0 and held_until > 0 then
    holds[#holds + 1] = { by = 'keep', holder = 'leases that Redis lost', untilMs = held_until + detached_idle }
  end
  local keep_until = number(status.keepUntil) or 0
  if keep_until > 0 then
    holds[#holds + 1] = { by = 'keep', holder = status.keepCause, untilMs = keep_until }
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

-- From when on an idle box may be reaped to make room for who waits for one; nil = never, as things are. Whoever holds it, or may
-- come back to a terminal in it, keeps it, and so do grants of time; activity alone keeps it for `giveWayMs` and no longer.
local function gives_way_at(desired, live, sessions, status, now, policies)
  if #live > 0 or #sessions > 0 or desired == nil then
    return nil
  end
  local policy = policies[desired.class] or policies['*']
  local at = (number(desired.lastActivityAt) or 0) + math.min(policy[3] or policy[1], policy[1])
  for _, hold in ipairs(holds_of(desired, live, status, now, policies)) do
    if hold.by ~= 'activity' then
      at = math.max(at, hold.untilMs)
    end
  end
  return at
end

-- Whether the sweep is just ending a terminal session: whoever began it anew would be ended with it.
local function is_ending(session, now)
  local ending_until = number(session.endingUntil) or 0
  return ending_until > now and ending_until <= now + ENDING_MS
end

-- A generation is larger than every one before it, also than those that a container's label still carries after Redis
-- was emptied or restored: it never falls behind Redis' own time.
local function next_generation(desired, status, now)
  local current = number((desired or {}).generation) or 0
  local of_container = number((status or {}).containerGeneration) or 0
  return math.max(current + 1, of_container + 1, now)
end
