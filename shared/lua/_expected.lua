-- Whether a setting is the one that its reader saw. Included by name; never run alone.

-- `times`: when the setting may have been set, as a JSON list; '' = whenever.
local function is_expected(times, since)
  if times == '' then
    return true
  end
  for _, time in ipairs(cjson.decode(times)) do
    if time == since then
      return true
    end
  end
  return false
end
