-- What is asked of a home for the vault's sake.
-- KEYS 1 orders
-- Returns [field, value, …], also the field `revision`
-- @include _common

return first_call('HGETALL', KEYS[1])
