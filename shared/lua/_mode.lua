-- The reconciler's mode, of the whole installation. Included by name, after _common; never run alone.

local MODES = { run = true, drain = true, pause = true }
local LONGEST_REASON = 1000 -- bytes; the API takes 200 characters

-- Returns {mode, reason, by, since}. None is `run`, and so is one that cannot be read: that is written down in its place, so
-- that whoever asks for the mode sees that it is not as they left it.
local function load_mode(key, now)
  local ok, flat = pcall(redis.call, 'HGETALL', key)
  local stored = ok and table_of(flat) or { mode = 'of another type' }
  if next(stored) == nil then
    return { mode = 'run', reason = '', by = '', since = 0 }
  end
  local since = number(stored.since)
  if MODES[stored.mode or ''] and stored.reason and #stored.reason <= LONGEST_REASON and stored.by and since then
    return { mode = stored.mode, reason = stored.reason, by = stored.by, since = math.min(since, now) }
  end
  local repaired = { mode = 'run', reason = 'the stored mode could not be read', by = 'spoonbox', since = now }
  redis.call('DEL', key)
  redis.call('HSET', key, 'mode', repaired.mode, 'reason', repaired.reason, 'by', repaired.by, 'since', int(now))
  return repaired
end
