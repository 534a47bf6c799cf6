-- All tokens of the API that are kept, those that expired in the last day among them.
-- KEYS 1 api tokens
-- Returns the records, each as JSON
-- @include _common

return first_call('HVALS', KEYS[1])
