-- Forgets a token of the API, and so ends all that it allows.
-- KEYS 1 api tokens
-- ARGV 1 id
-- Returns 1 where it was there, 0 otherwise
-- @include _common

return first_call('HDEL', KEYS[1], ARGV[1])
