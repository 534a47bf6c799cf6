-- Brings back the reconciler's mode and the pause of rollouts of a backup, as they were set then. One that was set since stays,
-- unless it is to be overwritten. Where nobody had set one, there is nothing to bring back.
-- KEYS 1 mode  2 rollout
-- ARGV 1 wake channel  2 what wakes everybody  3 when the backup was taken  4 '1' = also over what is newer
--      5 '1' = nothing is written: it is only told  6 mode as JSON {mode, reason, by, since}  7 rollout as JSON {paused, reason, by, since}
-- Returns {outcome, why, outcome, why}, of the mode and of the rollout: restored | same | kept (newer here)
-- @include _common
-- @include _mode
-- @include _rollout

local taken_at, overwrites, is_dry = tonumber(ARGV[3]), ARGV[4] == '1', ARGV[5] == '1'
local mode, rollout = cjson.decode(ARGV[6]), cjson.decode(ARGV[7])
local now = clock()
local is_changed = false

local function judge(here, backed, is_same)
  if backed.since == 0 or (is_same and here.reason == backed.reason and here.by == backed.by) then
    return 'same', ''
  elseif here.since > taken_at and not overwrites then
    return 'kept', 'it was set by ' .. here.by .. ' since'
  end
  is_changed = not is_dry
  return 'restored', ''
end

local function write(key, field, value, backed)
  redis.call('DEL', key)
  redis.call('HSET', key, field, value, 'reason', backed.reason, 'by', backed.by, 'since', int(math.min(backed.since, now)))
end

local mode_here, rollout_here = load_mode(KEYS[1], now), load_rollout(KEYS[2], now)
local of_mode, why_mode = judge(mode_here, mode, mode_here.mode == mode.mode)
local of_rollout, why_rollout = judge(rollout_here, rollout, rollout_here.paused == rollout.paused)
if of_mode == 'restored' and not is_dry then
  write(KEYS[1], 'mode', mode.mode, mode)
end
if of_rollout == 'restored' and not is_dry then
  write(KEYS[2], 'paused', rollout.paused and '1' or '0', rollout)
end
if is_changed then
  redis.call('PUBLISH', ARGV[1], ARGV[2])
end
return { of_mode, why_mode, of_rollout, why_rollout }
