-- Says which installation uses this Redis; the first one stays.
-- KEYS 1 installation
-- ARGV 1 id
-- Returns the id that is there now
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
