-- Common part of the scripts on a user's vault. Included by name, after _common; never run alone.
--
-- The vault is a hash: `revision`, `f:<path>` and `e:<NAME>`, each of these two a sealed text. Scripts never see what is in it.

-- Larger than every one before it, also than those of a vault that was lost: it never falls behind Redis' own time.
-- 0 = there is no vault. One that cannot be read is made anew, so that whoever applied the last one looks again.
local function vault_revision(vault, now)
  local stored = first_call('HGET', vault, 'revision')
  local revision = number(stored or '')
  if revision then
    return revision
  end
  if redis.call('HLEN', vault) == 0 then
    return 0
  end
  redis.call('HSET', vault, 'revision', int(now))
  return now
end
