-- The last round of pulls: an operator asks, the leader pulls and reports. Included by name, after _common; never run alone.

-- Returns {asked_at, by, report}; what cannot be read was never asked.
local function load_round(key)
  local stored = table_of(first_call('HGETALL', key))
  local asked_at = number(stored.askedAt)
  if not asked_at then
    return { asked_at = 0, by = '', report = '' }
  end
  return { asked_at = asked_at, by = stored.by or '', report = stored.report or '' }
end
