-- Leadership of the controllers. A challenger takes over when the heartbeat's counter has stood still for two TTLs of its
-- own monotonic time (it measures that itself), or at once where the leader gave it back or nobody ever led; never by the
-- key's expiry alone.
-- KEYS 1 leader  2 heartbeat  3 marker
-- ARGV 1 renew | take | release | look | report  2 token  3 ttlMs  4 holder's name  5 counter that the challenger saw stand still
--      6 fingerprint of the terminal secret  7 renew: how the loop does, as JSON ('' = not told)
-- renew: extends this token's lead; also where the key has expired but nobody else took it.
-- report: for people; its holder is '' where nobody leads, and it has `loop`, as the leader told last ('' = not told).
-- Where the heartbeat does not go on from the one before, the mark goes in the same step: a clock that jumped ahead makes
--   leases seem expired, and no idle reap may slip in between; and a leader that notices and dies leaves it to the next.
-- Returns JSON {leads, counter, previousAt, now, holder, marker, fingerprint, free, loop}
--   previousAt is the heartbeat's time before this call (0 = none); free: the lead may be taken at once
-- @include _common

local mode, token, ttl, holder, seen, fingerprint = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
local UNSEEN_MS, UNLED_MS = 10000, 60000 -- as in trust.ts
local now = clock()

local leader = first_call('GET', KEYS[1])
local beat = first_call('HMGET', KEYS[2], 'token', 'counter', 'at', 'holder', 'released', 'fingerprint', 'loop')
local counter = number(beat[2]) or 0
local previous_at = number(beat[3]) or 0
local free = not leader and (not beat[1] or beat[5] == '1')
local leads = leader == token or (not leader and beat[1] == token and beat[5] ~= '1')

local broken = previous_at > 0 and (
  (mode == 'renew' and math.abs(now - previous_at) >= UNSEEN_MS)
  or (mode == 'take' and (now < previous_at or now - previous_at > UNLED_MS)))

local function lead()
  if broken then
    redis.call('DEL', KEYS[3])
  end
  counter = counter + 1
  leads, free = true, false
  redis.call('SET', KEYS[1], token, 'PX', ttl)
  redis.call('HSET', KEYS[2], 'token', token, 'counter', int(counter), 'at', int(now), 'holder', holder,
    'released', '0', 'fingerprint', fingerprint, 'loop', ARGV[7] or '')
end

if mode == 'renew' and leads then
  lead()
elseif mode == 'take' and (free or (not leads and int(counter) == seen)) then
  lead()
elseif mode == 'release' and leads then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[2], 'released', '1')
  leads, free = false, true
end
local told = beat[4] or ''
local loop = nil
if mode == 'report' then
  loop = beat[7] or ''
  if not leader or free then
    told = ''
  end
end
return cjson.encode({
  leads = leads, counter = counter, previousAt = previous_at, now = now, holder = told,
  marker = first_call('GET', KEYS[3]) or '', fingerprint = beat[6] or '', free = free, loop = loop,
})
