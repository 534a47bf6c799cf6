-- Who serves terminals, and until when each gateway's own lease runs.
-- KEYS 1 gateways
-- Returns {now, [gateway JSON with expiresAt, …]}
-- @include _common

return { int(clock()), first_call('HVALS', KEYS[1]) }
