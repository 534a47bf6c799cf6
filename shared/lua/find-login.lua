-- Looks the login of a console up.
-- KEYS 1 login  2 api tokens
-- Returns JSON {now, login}: login as JSON, left out where there is none, or where the token is gone that let it in
-- @include _access

local now = clock()
local json = first_call('GET', KEYS[1])
local login = json and decoded(json)
if not login or not maker_lives(login, KEYS[2], now) then
  return cjson.encode({ now = now })
end
return cjson.encode({ now = now, login = json })
