-- Common part of every script that reads what is stored. Included by name; never run alone.
--
-- What is stored may be damaged from outside: a key evicted, of another type, a field that is no number. Damage counts as
-- loss, and loss never makes a script fail: a user whose scripts fail is stuck until somebody repairs Redis by hand.

local LARGEST = 99999999999999 -- what cjson prints in full: 14 digits

-- Time is Redis TIME in milliseconds. No other clock is ever compared with it.
local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Lua prints 14 digits; this prints them all, and never an exponent.
local function int(number)
  return string.format('%.0f', number)
end

-- A whole number as we write them, or nil: no sign, no exponent, no hexadecimal, no NaN, none that loses digits.
local function number(stored)
  if type(stored) == 'string' and not string.match(stored, '^%d+$') then
    return nil
  end
  local value = tonumber(stored)
  return value and value >= 0 and value <= LARGEST and value == math.floor(value) and value or nil
end

local function table_of(flat)
  local result = {}
  for i = 1, #flat, 2 do
    result[flat[i]] = flat[i + 1]
  end
  return result
end

local function decoded(json)
  local ok, value = pcall(cjson.decode, json)
  return ok and type(value) == 'table' and value or nil
end

-- The first command of a script on a key: one of another type, or a stream that takes no more entries, is dropped, as if it
-- had been lost. Every other error (no memory, no disk) is raised.
local function first_call(command, key, ...)
  local ok, reply = pcall(redis.call, command, key, ...)
  if ok then
    return reply
  end
  local message = type(reply) == 'table' and reply.err or tostring(reply)
  if string.find(message, 'WRONGTYPE', 1, true) or string.find(message, 'exhausted', 1, true) then
    redis.call('DEL', key)
  end
  return redis.call(command, key, ...)
end
