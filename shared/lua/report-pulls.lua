-- The leader tells how far the round of pulls is; its first report is the permission to begin.
-- KEYS 1 leader  2 pull round
-- ARGV 1 leader token  2 the round, as it was asked for  3 the report
-- Returns 1; 0 = another leads, or the round is not the one that is asked for any more
-- @include _common
-- @include _pull-round

if first_call('GET', KEYS[1]) ~= ARGV[1] or int(load_round(KEYS[2]).asked_at) ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[2], 'report', ARGV[3])
return 1
