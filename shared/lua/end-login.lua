-- Logs a console out.
-- KEYS 1 login
-- Returns 1 where it was there, 0 otherwise

return redis.call('DEL', KEYS[1])
