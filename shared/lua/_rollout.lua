-- Whether newer images and classes roll out to boxes that nobody holds. Included by name, after _common; never run alone.

-- Returns {paused, reason, by, since}. None is `not paused`; one that cannot be read is gone, as if nobody had set it.
local function load_rollout(key, now)
  local stored = table_of(first_call('HGETALL', key))
  local since = number(stored.since)
  if not since or not stored.reason or not stored.by then
    return { paused = false, reason = '', by = '', since = 0 }
  end
  return { paused = stored.paused == '1', reason = stored.reason, by = stored.by, since = math.min(since, now) }
end
