import type { Breakage } from './breakages.ts';

const store = 'test/contract/box-store.redis.test.ts';

/** Of the scripts: what Redis itself decides. */
export const ofScripts: readonly Breakage[] = [
  {
    name: 'a commit does not look at the version that its pass read',
    promise: 'a commit is refused unless the status is still the one that the pass read',
    file: 'shared/lua/commit-status.lua',
    text: 'if stored_version ~= version then',
    replacement: 'if false then',
    caughtBy: { file: store, test: 'upon another version than the one that was read is refused' },
  },
  {
    name: 'a commit does not look at who leads',
    promise: 'never a mutation that the leader of that moment had not committed',
    file: 'shared/lua/commit-status.lua',
    text: "if first_call('GET', LEADER) ~= token then",
    replacement: 'if false then',
    caughtBy: { file: store, test: 'of a process that does not lead, or leads no more, is refused' },
  },
  {
    name: 'a commit does not look at the mode that its pass read',
    promise: 'after an operator was answered that the reconciler is paused, nothing of before is permitted any more',
    file: 'shared/lua/commit-status.lua',
    text: 'if mode ~= ARGV[10] then',
    replacement: 'if false then',
    caughtBy: { file: store, test: 'of another kind than the pass read refuses its commit' },
  },
  {
    name: 'a mode that cannot be read stays as it is',
    promise: 'damage of the mode is run, and said to whoever asks',
    file: 'shared/lua/_mode.lua',
    text: "if MODES[stored.mode or ''] and stored.reason and #stored.reason <= LONGEST_REASON and stored.by and since then",
    replacement: 'if true then',
    caughtBy: { file: store, test: 'is run again, and says so to whoever asks' },
  },
  {
    name: 'a commit believes the pass that nobody wants the box, and does not compute it again',
    promise: 'never a reap committed while wantedUntil lay ahead',
    file: 'shared/lua/commit-status.lua',
    text: 'if now < wanted_until then',
    replacement: 'if false then',
    caughtBy: { file: store, test: 'is refused when a key was pressed between read and commit' },
  },
  {
    name: 'a commit reaps on a Redis that is not trusted',
    promise: 'unknown is never taken for idle',
    file: 'shared/lua/commit-status.lua',
    text: "return first_call('GET', MARKER) == string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')",
    replacement: 'return true',
    caughtBy: { file: store, test: 'is refused after a restart of Redis, though the leader still leads' },
  },
  {
    name: 'a rollout does not mind a live lease',
    promise: 'a newer image reaches nobody who holds a box',
    file: 'shared/lua/commit-status.lua',
    text: 'if #live > 0 then\n    return',
    replacement: 'if false then\n    return',
    caughtBy: { file: store, test: 'is refused while any lease is live, and names its holder' },
  },
  {
    name: 'a rollout does not mind a terminal whose user may come back',
    promise: 'a newer image reaches nobody who holds a box',
    file: 'shared/lua/commit-status.lua',
    text: 'if session and session.containerId == container_id then',
    replacement: 'if false then',
    caughtBy: { file: store, test: 'is refused while a terminal in this very container waits for its user' },
  },
  {
    name: 'a status that merely says reaping permits a drain',
    promise: 'a drain needs a commit that Redis itself allowed',
    file: 'shared/lua/commit-status.lua',
    text: 'local begun = stored ~= nil and stored.drainedId == intent.containerId',
    replacement:
      "local begun = stored ~= nil and (stored.drainedId == intent.containerId or stored.phase == 'reaping')",
    caughtBy: { file: store, test: 'a status that says "reaping" without a permitted drain permits none' },
  },
  {
    name: 'a drain that has begun is undone by a lease',
    promise: 'a drain is never undone',
    file: 'shared/lua/commit-status.lua',
    text: "if intent.kind == 'drain' and not begun then",
    replacement: "if intent.kind == 'drain' then",
    caughtBy: { file: store, test: 'a drain that has begun goes on although a lease came' },
  },
  {
    name: 'a deleted user is forgotten although a newer lease came',
    promise: 'a delete removes the state only if no newer lease came',
    file: 'shared/lua/commit-status.lua',
    text: 'if #live > 0 or not (desired and desired.deletedAt) then',
    replacement: 'if false then',
    caughtBy: { file: store, test: 'is refused when a newer lease came, and to a user that nobody deleted' },
  },
  {
    name: 'the time that was granted does not hold the box',
    promise: 'an amnesty is kept until its end',
    file: 'shared/lua/_box.lua',
    text: 'if keep_until > 0 then',
    replacement: 'if false then',
    caughtBy: { file: store, test: 'is refused until the time that an amnesty granted' },
  },
  {
    name: 'a renewal of an unknown lease creates it',
    promise: 'renewing never creates',
    file: 'shared/lua/renew-lease.lua',
    text: 'if not stored or desired == nil then',
    replacement: `if not stored then
  local made = { id = id, kind = 'job', holder = 'x', takenAt = now, expiresAt = now + 60000, ttlMs = 60000 }
  stored = cjson.encode(made)
  redis.call('HSET', LEASES, id, stored)
  live[#live + 1] = made
end
desired = desired or {}
if false then`,
    caughtBy: { file: store, test: 'an unknown lease is not made, and nothing else is' },
  },
  {
    name: 'a renewal brings back a lease that was ended',
    promise: 'renewing never brings back what was ended',
    file: 'shared/lua/renew-lease.lua',
    text: "if not lease then\n  return cjson.encode({ refused = 'lease-ended'",
    replacement: `if not lease then
  lease = cjson.decode(stored)
  lease.endedAt, lease.endReason = nil, nil
end
if false then
  return cjson.encode({ refused = 'lease-ended'`,
    caughtBy: { file: store, test: 'a lease that was reaped is not brought back; the reason is told' },
  },
  {
    name: 'activity makes desired state where there is none',
    promise: 'activity alone never creates',
    file: 'shared/lua/_box.lua',
    text: 'if desired == nil or at <= (number(desired.lastActivityAt) or 0) then\n    return\n  end',
    replacement: `if desired == nil then
    redis.call('HSET', DESIRED, 'class', 'default', 'generation', int(at), 'lastActivityAt', int(at), 'lastActivityCause', cause)
    return
  end
  if at <= (number(desired.lastActivityAt) or 0) then
    return
  end`,
    caughtBy: { file: 'test/breakages/activity.test.ts', test: 'makes no desired state where Redis lost it' },
  },
  {
    name: 'the idle clock starts when the lease was taken, not when its holder left',
    promise: 'the idle clock starts when the last holder leaves',
    file: 'shared/lua/release-lease.lua',
    text: "move_activity(desired, now, lease.kind == 'terminal' and 'detach' or 'lease-released')",
    replacement: '',
    caughtBy: { file: store, test: 'a lease that is given back counts at that moment; giving back twice does not' },
  },
  {
    name: 'a lease that expires is no activity',
    promise: 'a lease that expires counts as activity at that moment',
    file: 'shared/lua/_box.lua',
    text: "move_activity(desired, lease.expiresAt, 'lease-expired')",
    replacement: '',
    caughtBy: { file: store, test: 'a lease that expires counts at the moment of its expiry' },
  },
  {
    name: 'the end of a lease by a reap counts as activity',
    promise: 'a lease that a reap ended does not count as activity',
    file: 'shared/lua/wish.lua',
    text: "end_all(desired, live, now, wish == 'reap' and 'reaped' or 'deleted', by)",
    replacement:
      "end_all(desired, live, now, wish == 'reap' and 'reaped' or 'deleted', by)\n  move_activity(desired, now, wish)",
    caughtBy: { file: store, test: 'a lease that a reap ended does not count' },
  },
  {
    name: 'taking a lease again shortens it',
    promise: 'taking again never shortens what a holder has',
    file: 'shared/lua/take-lease.lua',
    text: 'lease.expiresAt = math.max(known and known.expiresAt or 0, now + ttl)',
    replacement: 'lease.expiresAt = now + ttl',
    caughtBy: {
      file: store,
      test: 'again is the same lease: one entry, one event, no new generation, and it never gets shorter',
    },
  },
  {
    name: 'output counts without end',
    promise: 'output counts for at most 12 h after the last input',
    file: 'shared/lua/renew-lease.lua',
    text: 'if output_age >= 0 and now - output_age - last_input <= OUTPUT_COUNTS_MS then',
    replacement: 'if output_age >= 0 then',
    caughtBy: { file: store, test: 'output counts until 12 hours after the last input, and not longer' },
  },
  {
    name: 'two names that differ only by case are two users',
    promise: 'a name that differs from a known one only by case is refused',
    file: 'shared/lua/_box.lua',
    text: 'if known and known ~= USER then',
    replacement: 'if false then',
    caughtBy: { file: store, test: 'a name that differs from a known one by case is refused' },
  },
  {
    name: 'a token id passes again',
    promise: 'never a token used twice while Redis keeps what it acknowledged',
    file: 'shared/lua/use-token.lua',
    text: "redis.call('SET', KEYS[1], '1', 'NX', 'PX', tonumber(ARGV[1]))",
    replacement: "redis.call('SET', KEYS[1], '1', 'PX', tonumber(ARGV[1]))",
    caughtBy: { file: store, test: 'a token id passes once' },
  },
  {
    name: 'the lead is free as soon as its key has expired',
    promise: "a challenger takes over by its own time, never by the key's expiry alone",
    file: 'shared/lua/lead.lua',
    text: "local free = not leader and (not beat[1] or beat[5] == '1')",
    replacement: 'local free = not leader',
    caughtBy: {
      file: 'test/unit/leader.test.ts',
      test: 'is not taken over while it is renewed, however long, nor because its key expired',
    },
  },
  {
    name: 'losing the leases alone is taken for having none',
    promise: 'losing Redis must not lose a user’s work',
    file: 'shared/lua/_box.lua',
    text: 'if #live == 0 and held_until > 0 then',
    replacement: 'if false then',
    caughtBy: {
      file: 'test/breakages/activity.test.ts',
      test: 'leases that Redis lost hold the box until they would have ended',
    },
  },
  {
    name: 'the end of leases that Redis lost is no activity',
    promise: 'losing Redis must not lose a user’s work',
    file: 'shared/lua/_box.lua',
    text: 'if #live == 0 and held_until > 0 then',
    replacement: 'if #live == 0 and held_until > now then',
    caughtBy: {
      file: 'test/breakages/activity.test.ts',
      test: 'the idle clock starts when leases that Redis lost would have ended',
    },
  },
  {
    name: 'a reap that no operator asked for is committed',
    promise: 'for remove and replace, the script itself looks whether the wish is there',
    file: 'shared/lua/commit-status.lua',
    text: 'if generation >= (number(wish.reapGeneration) or 0) then',
    replacement: 'if false then',
    caughtBy: { file: store, test: 'reap is allowed for a container older than the operator’s reap, leases or not' },
  },
  {
    name: 'a box that was recreated already is recreated again',
    promise: 'a wish is for the container that was there when it was made',
    file: 'shared/lua/commit-status.lua',
    text: 'if generation >= (number(wish.recreateGeneration) or 0) then',
    replacement: 'if not number(wish.recreateGeneration) then',
    caughtBy: { file: store, test: 'recreate is allowed for a container older than the operator’s recreate' },
  },
  {
    name: 'any foreign container may be replaced once an operator consented to one',
    promise: 'never a container touched that is not ours',
    file: 'shared/lua/commit-status.lua',
    text: 'if named ~= intent.containerId and not is_short then',
    replacement: "if named == '' then",
    caughtBy: { file: store, test: 'adopt is allowed for the very container that the operator named' },
  },
  {
    name: 'an idle reap leaves the leases that it overrode',
    promise: 'a reap that overrides leases ends them in that same commit',
    file: 'shared/lua/commit-status.lua',
    text: "end_all(desired, live, now, 'attached-idle', 'spoonbox')",
    replacement: '',
    caughtBy: { file: store, test: 'ends the terminals that were attached and idle too long in the same commit' },
  },
  {
    name: 'a gateway takes a session from another one that lives',
    promise: 'of two gateways one has a session',
    file: 'shared/lua/claim-session.lua',
    text: 'if (number(lives.expiresAt) or 0) > now then',
    replacement: 'if false then',
    caughtBy: { file: store, test: 'of a gateway that lives is refused to another one' },
  },
  {
    name: 'a session is begun anew while the sweep ends it',
    promise: 'the sweep ends what nobody owns, and nothing of the next one',
    file: 'shared/lua/claim-session.lua',
    text: 'if is_ending(stored, now) then',
    replacement: 'if false then',
    caughtBy: { file: store, test: 'is nobody’s while the sweep ends it, for so long at most' },
  },
  {
    name: 'a gateway that lost a session ends the record of the next one',
    promise: 'an end that comes late ends nothing of the next one’s',
    file: 'shared/lua/end-session.lua',
    text: "if not stored or (type(other) == 'string' and other ~= ARGV[5]) then",
    replacement: 'if not stored then',
    caughtBy: { file: store, test: 'then nothing of the one before counts' },
  },
  {
    name: 'a restore puts an older vault over a newer one',
    promise: 'a restore overwrites nothing that is newer',
    file: 'shared/lua/restore-user.lua',
    text: 'elseif revision > backed_revision and not overwrites then',
    replacement: 'elseif false then',
    caughtBy: { file: store, test: 'leaves a vault that was changed or emptied since, and one that was sealed anew' },
  },
  {
    name: 'a restore takes whoever is restored for idle',
    promise: 'a restore never makes the reconciler reap anything',
    file: 'shared/lua/restore-user.lua',
    text: "'generation', desired.generation, 'lastActivityAt', int(now)",
    replacement: "'generation', desired.generation, 'lastActivityAt', '1'",
    caughtBy: { file: store, test: 'repeats no wish: what was to be reaped then is told, and is not reaped' },
  },
  {
    name: 'a restore revives a token that has expired',
    promise: 'an expired token allows nothing',
    file: 'shared/lua/restore-tokens.lua',
    text: 'if record.expiresAt and record.expiresAt <= now then',
    replacement: 'if false then',
    caughtBy: {
      file: store,
      test: 'makes them work again, but not those that have expired, and none that was revoked since',
    },
  },
  {
    name: 'a restore revives a token that was revoked',
    promise: 'a restore overwrites nothing that is newer',
    file: 'shared/lua/restore-tokens.lua',
    text: 'elseif not overwrites and knows then',
    replacement: 'elseif false then',
    caughtBy: {
      file: store,
      test: 'makes them work again, but not those that have expired, and none that was revoked since',
    },
  },
];
