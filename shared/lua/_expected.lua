-- Whether what stands is what its reader saw (If-Match). Included by name; never run alone.

-- `expected`: what it may be, as a JSON list of numbers; '' = anything; '*' = anything that `exists`.
local function is_expected(expected, is, exists)
  if expected == '' then
    return true
  end
  if expected == '*' then
    return exists
  end
  for _, each in ipairs(cjson.decode(expected)) do
    if each == is then
      return true
    end
  end
  return false
end
