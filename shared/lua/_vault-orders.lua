-- What is asked of a home for the vault's sake, beside what the vault holds. Included by name, after _box and _vault; never run alone.
--
-- A hash: `revision`, and `p:<path>` with `<order>:<revision>`. `drop`: the file was removed from the vault; `take`: the vault's
-- file goes in the place of whatever is there. Losing it leaves files in homes, and nothing else: a vault that was lost must not
-- take the files of homes with it, so only what was removed by somebody is.

local function orders_revision(orders)
  return number(first_call('HGET', orders, 'revision') or '') or 0
end

-- Whatever changes in a vault or in its orders has one of its own.
local function next_revision_of(revision, orders, now)
  return math.max(math.max(revision, orders_revision(orders)) + 1, now)
end

-- The index knew a deleted user for the vault's sake only.
local function forget_if_gone()
  if redis.call('EXISTS', VAULT, DESIRED, LEASES, SESSIONS, STATUS) == 0 then
    redis.call('HDEL', USERS, string.lower(USER))
    redis.call('EXPIRE', EVENTS, EVENTS_KEPT_AFTER_DELETE_S)
    redis.call('EXPIRE', VAULT_ORDERS, EVENTS_KEPT_AFTER_DELETE_S)
  end
end

local function give_order(orders, path, order, revision)
  -- Those of a user who was forgotten, and comes back, are kept.
  redis.call('PERSIST', orders)
  redis.call('HSET', orders, 'revision', int(revision), 'p:' .. path, order .. ':' .. int(revision))
end
