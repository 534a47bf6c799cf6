-- The reconciler's mode.
-- KEYS 1 mode
-- Returns JSON {now, mode: {mode, reason, by, since}}
-- @include _common
-- @include _mode

local now = clock()
return cjson.encode({ now = now, mode = load_mode(KEYS[1], now) })
