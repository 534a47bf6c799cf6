-- Common part of the scripts that know who may ask. Included by name; never run alone.
-- @include _common

-- A token's record as long as it allows anything, else nil. Damage counts as loss, and a token that is lost allows nothing.
local function live_token(tokens, id, now)
  local record = decoded(first_call('HGET', tokens, id) or '')
  if not record or (record.expiresAt and (number(record.expiresAt) or 0) <= now) then
    return nil
  end
  return record
end

-- A console may do no more than the token that let it in, as long as that one may. '' = the internal token, which nothing ends.
local function maker_lives(maker, tokens, now)
  if type(maker.name) ~= 'string' or type(maker.tokenId) ~= 'string' or type(maker.role) ~= 'string' then
    return false
  end
  return maker.tokenId == '' or live_token(tokens, maker.tokenId, now) ~= nil
end
