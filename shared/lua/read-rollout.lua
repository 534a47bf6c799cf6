-- Whether rollouts are paused, and the last round of pulls that an operator asked for.
-- KEYS 1 rollout  2 pull round
-- Returns JSON {now, pause: {paused, reason, by, since}, askedAt (0 = nobody ever asked), by, report (text of the leader, '' = none)}
-- @include _common
-- @include _rollout
-- @include _pull-round

local now = clock()
local round = load_round(KEYS[2])
return cjson.encode({
  now = now, pause = load_rollout(KEYS[1], now), askedAt = round.asked_at, by = round.by, report = round.report,
})
