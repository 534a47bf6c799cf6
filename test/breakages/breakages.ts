/**
 * Breakages made by hand: one promise of the design each, broken by a change of one place, and the test that must turn red.
 * `text` occurs exactly once in its file, or the list has rotted (a short test says so on every run).
 */
export interface Breakage {
  /** what was done, as a sentence */
  readonly name: string;
  /** the promise that it breaks, in the words of the design */
  readonly promise: string;
  readonly file: string;
  readonly text: string;
  readonly replacement: string;
  readonly caughtBy: {
    readonly file: string;
    /** a part of the test's full name */
    readonly test: string;
  };
}

const store = 'test/contract/box-store.redis.test.ts';
const runtime = 'test/contract/box-runtime.docker.test.ts';
const model = 'test/model/machine.test.ts';

/** Of the scripts: what Redis itself decides. */
const ofScripts: readonly Breakage[] = [
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
    text: "if first_call('GET', MARKER) ~= run_id then",
    replacement: 'if false then',
    caughtBy: { file: store, test: 'is refused after a restart of Redis, though the leader still leads' },
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
    text: 'if #live == 0 and held_until > now then',
    replacement: 'if false then',
    caughtBy: {
      file: 'test/breakages/activity.test.ts',
      test: 'leases that Redis lost hold the box until they would have ended',
    },
  },
];

/** Of the controller. */
const ofController: readonly Breakage[] = [
  {
    name: 'a container is stopped by its name',
    promise: 'start, stop and remove go by the container id that was inspected',
    file: 'controller/src/reconcile/executor.ts',
    text: 'operations.stop(command.id, command.graceMs, user);',
    replacement: "operations.stop('spoon-box-' + user, command.graceMs, user);",
    caughtBy: { file: 'test/unit/executor.test.ts', test: 'what lasts runs on its own' },
  },
  {
    name: 'a container is removed by its name',
    promise: 'start, stop and remove go by the container id that was inspected',
    file: 'controller/src/reconcile/executor.ts',
    text: 'await runtime.remove(command.id, signal);',
    replacement: "await runtime.remove('spoon-box-' + command.cause, signal);",
    caughtBy: { file: 'test/breakages/by-id.test.ts', test: 'go by the id that was inspected' },
  },
  {
    name: 'a container is removed with force',
    promise: 'remove never uses force or volumes',
    file: 'controller/src/runtime/docker-runtime.ts',
    text: 'query: { v: false, force: false }',
    replacement: 'query: { v: false, force: true }',
    caughtBy: { file: runtime, test: 'a running box is not removed: conflict' },
  },
  {
    name: 'a box is created without a look for one of ours under another name',
    promise: 'before a create, list by label too',
    file: 'controller/src/runtime/docker-runtime.ts',
    text: 'if (named !== null && !thorough && isOurRunningBox(named, user)) return [named];',
    replacement: 'if (!thorough) return named === null ? [] : [named];',
    caughtBy: { file: runtime, test: 'a box that was renamed by hand is still found' },
  },
  {
    name: 'an engine that does not answer is taken for "no container"',
    promise: 'an engine that does not answer is no absence',
    file: 'controller/src/runtime/docker-runtime.ts',
    text: `if (error instanceof EngineError && error.fault.kind === 'not-found') return null;`,
    replacement: 'if (error instanceof EngineError) return null;',
    caughtBy: { file: 'test/breakages/no-absence.test.ts', test: 'is no absence, though its list is empty' },
  },
  {
    name: 'a pass goes on with the facts of an engine that failed',
    promise: 'an engine that does not answer is no absence',
    file: 'controller/src/reconcile/gather.ts',
    text: 'return { ...known, engineDown: error.message };',
    replacement: 'return known;',
    caughtBy: { file: 'test/unit/reconcile.test.ts', test: 'tells who waits that the engine does not answer' },
  },
  {
    name: 'what has our label or our role is ours, whichever installation made it',
    promise: 'never a container touched that is not ours',
    file: 'controller/src/box/ownership.ts',
    text: "if (container.installation !== installation || container.role !== 'box') return false;",
    replacement: "if (container.role !== 'box') return false;",
    caughtBy: { file: 'test/breakages/by-id.test.ts', test: 'a box of another installation is foreign' },
  },
  {
    name: 'a container from an image that was committed from a box is ours',
    promise: 'never a container touched that is not ours',
    file: 'controller/src/box/ownership.ts',
    text: 'return container.spec === null || container.spec.imageId === container.imageId;',
    replacement: 'return true;',
    caughtBy: {
      file: 'test/breakages/by-id.test.ts',
      test: 'made from an image that was committed from a box is foreign',
    },
  },
  {
    name: 'an operator’s consent to replace one container is taken for any',
    promise: 'never a container touched that is not ours',
    file: 'controller/src/box/adopting.ts',
    text: "return foreign !== null && isNamed(foreign.id, facts.desired?.adoptContainerId ?? '') ? foreign : null;",
    replacement: "return foreign !== null && (facts.desired?.adoptContainerId ?? '') !== '' ? foreign : null;",
    caughtBy: {
      file: 'test/breakages/by-id.test.ts',
      test: 'consent to replace another container is none for this one',
    },
  },
  {
    name: 'activity alone starts a box',
    promise: 'a box is started only for a live lease',
    file: 'controller/src/box/provisioning.ts',
    text: "name: 'nobody asks for a box',\n    when: (_context, facts) => !facts.hasLease,",
    replacement: "name: 'nobody asks for a box',\n    when: (_context, facts) => facts.now >= facts.wantedUntil,",
    caughtBy: { file: model, test: 'of what is there, who asks, and what operators want' },
  },
  {
    name: 'a reap leaves its state while the container is still there',
    promise: 'a drain is never undone',
    file: 'controller/src/box/draining.ts',
    text: 'when: (context, facts) => drained(context, facts) === null,',
    replacement: 'when: (context, facts) => drained(context, facts) === null || facts.hasLease,',
    caughtBy: { file: 'test/breakages/by-id.test.ts', test: 'a box that is being reaped stays so until it is gone' },
  },
  {
    name: 'a running box is not granted time by an amnesty',
    promise: 'unknown is never taken for idle',
    file: 'controller/src/box/holding.ts',
    text: 'const isNewAmnesty = amnesty !== null && amnesty.id !== amnestyId;',
    replacement: 'const isNewAmnesty = amnesty !== null && amnesty.id === amnestyId;',
    caughtBy: { file: 'test/model/edges.test.ts', test: 'a new amnesty grants time once, and is outlived' },
  },
  {
    name: 'a box that runs without desired state is idle',
    promise: 'unknown is never taken for idle',
    file: 'controller/src/box/holding.ts',
    text: 'const isOrphan = desired === null && !orphanGranted;',
    replacement: 'const isOrphan = desired === undefined && !orphanGranted;',
    caughtBy: {
      file: 'test/model/liveness.test.ts',
      test: 'a running box without desired state is kept for its grace',
    },
  },
  {
    name: 'a Redis that was emptied is trusted',
    promise: 'unknown is never taken for idle',
    file: 'controller/src/reconcile/trust.ts',
    text: "if (first.marker === '') this.distrust('Redis is new or was emptied');\n    else if",
    replacement: "if (first.marker === '') this.current = null;\n    else if",
    caughtBy: { file: 'test/unit/trust.test.ts', test: 'an amnesty follows' },
  },
  {
    name: 'Redis is marked as trusted before every box was granted time',
    promise: 'the mark is written only after every running box has its time',
    file: 'controller/src/reconcile/trust.ts',
    text: 'this.waiting === null || this.waiting.size > 0 ||',
    replacement: 'this.waiting === null ||',
    caughtBy: {
      file: 'test/unit/trust.test.ts',
      test: 'is written only after every box that the list showed was granted',
    },
  },
  {
    name: 'a command is executed however old its commit is',
    promise: 'the executor drops a command when half the leader’s term has passed since its commit was sent',
    file: 'controller/src/reconcile/executor.ts',
    text: 'this.clock.monotonicMs() - permit.committedAtMs > this.fenceMs',
    replacement: 'permit.committedAtMs > Number.MAX_VALUE',
    caughtBy: { file: 'test/unit/executor.test.ts', test: 'is dropped when its commit is too old' },
  },
  {
    name: 'a command is planned from a list, without a look at the box',
    promise: 'a pass that plans something inspects first',
    file: 'controller/src/reconcile/reconcile.ts',
    text: '({ facts, plan, body } = await this.plan(record, null, true));',
    replacement: '',
    caughtBy: {
      file: 'test/unit/reconcile.test.ts',
      test: 'never leads to a command or a write: the box itself is looked at first',
    },
  },
  {
    name: 'a command is executed although its commit was refused',
    promise: 'never a mutation without a commit',
    file: 'controller/src/reconcile/reconcile.ts',
    text: 'if (!result.ok) {\n      place?.giveBack();',
    replacement: "if (!result.ok && result.refused === 'not-leader') {\n      place?.giveBack();",
    caughtBy: { file: 'test/unit/reconcile.test.ts', test: 'nothing is executed when it is refused' },
  },
  {
    name: 'the end of a stop is lost',
    promise: 'the end of long work is a fact of the next pass',
    file: 'controller/src/reconcile/reconcile.ts',
    text: 'this.outcomes.set(user, outcome);\n    this.listed.delete(user);',
    replacement: 'this.listed.delete(user);',
    caughtBy: { file: 'test/unit/reconcile.test.ts', test: 'an end that is told during a pass' },
  },
  {
    name: 'two passes run at once for one user',
    promise: 'never two passes for one user at once',
    file: 'controller/src/queue/work-queue.ts',
    text: 'if (this.processing.has(key)) {',
    replacement: 'if (this.processing.has(key) && this.closed) {',
    caughtBy: { file: 'test/unit/queue.test.ts', test: 'never runs two passes for one key at once' },
  },
  {
    name: 'the pacer holds nobody back',
    promise: 'at most max(5, 20 % of the running boxes) idle reaps a minute',
    file: 'controller/src/reconcile/pacer.ts',
    text: 'return oldest === undefined ? 0 : Math.max(1, oldest + windowMs - now);',
    replacement: 'return oldest === undefined ? 0 : 0;',
    caughtBy: { file: 'test/unit/pacer.test.ts', test: 'a minute has room for five idle reaps' },
  },
];

/** Of the gateway and its tokens. */
const ofGateway: readonly Breakage[] = [
  {
    name: 'a token that this gateway has let in passes again when Redis has forgotten it',
    promise: 'each gateway also remembers its own tokens',
    file: 'gateway/src/admission.ts',
    text: 'if (this.#used.has(jti)) throw usedToken();',
    replacement: '',
    caughtBy: { file: 'test/breakages/terminals.test.ts', test: 'is refused also when Redis has forgotten it' },
  },
  {
    name: 'pages of every origin may open terminals',
    promise: 'Origin is enforced whenever SPOON_ALLOWED_ORIGINS is set',
    file: 'gateway/src/admission.ts',
    text: 'if (allowed.length === 0 || origin === undefined || allowed.includes(origin)) return null;',
    replacement: 'if (allowed.length >= 0) return null;',
    caughtBy: {
      file: 'test/gateway/admission.test.ts',
      test: 'pages of the allowed origins, and clients that are no pages',
    },
  },
  {
    name: 'what is typed into a read-only terminal reaches the shell',
    promise: 'ro: what the client types is dropped',
    file: 'gateway/src/pump.ts',
    text: "if (mode === 'ro') {",
    replacement: "if (mode === 'ro' && toldReadOnly) {",
    caughtBy: { file: 'test/breakages/terminals.test.ts', test: 'reaches no shell, not even the first key' },
  },
  {
    name: 'the shell stays when its client goes',
    promise: 'a session ends by a real hang-up; never a leaked exec',
    file: 'gateway/src/session.ts',
    text: 'await Promise.all([released, this.#endShell()]);',
    replacement: 'await released;',
    caughtBy: { file: 'test/gateway/session.test.ts', test: 'is cut after two rounds of pings, and its shell hung up' },
  },
  {
    name: 'the lease of a terminal stays when its client goes',
    promise: 'the terminal lease is released when the last socket leaves; never a leaked lease',
    file: 'gateway/src/session.ts',
    text: 'const released = this.#lease?.release(by).catch(',
    replacement: 'const released = Promise.resolve().catch(',
    caughtBy: { file: 'test/breakages/terminals.test.ts', test: 'gives its lease back when the client goes' },
  },
  {
    name: 'tokens of other algorithms pass',
    promise: 'terminal tokens are HS256 and nothing else',
    file: 'shared/src/terminal-token.ts',
    text: 'algorithms: [algorithm],',
    replacement: "algorithms: ['HS256', 'HS384', 'HS512'],",
    caughtBy: { file: 'test/gateway/admission.test.ts', test: 'is refused when it is of another algorithm' },
  },
  {
    name: 'a token for something else passes',
    promise: 'issuer and audience of a terminal token are pinned',
    file: 'shared/src/terminal-token.ts',
    text: '      issuer,\n      audience,\n      clockTolerance',
    replacement: '      clockTolerance',
    caughtBy: { file: 'test/gateway/admission.test.ts', test: 'is refused when it is for something else' },
  },
  {
    name: 'a token may be valid for as long as its maker says',
    promise: 'a terminal token is valid for at most 60 s',
    file: 'shared/src/terminal-token.ts',
    text: 'if ((claims.data.exp - claims.data.iat) * 1_000 > maxTtlMs) {',
    replacement: 'if (maxTtlMs < 0) {',
    caughtBy: { file: 'test/gateway/admission.test.ts', test: 'is refused when it is valid for a day' },
  },
  {
    name: 'the type-ahead of a client that waits has no bound',
    promise: 'every buffer has a named limit',
    file: 'gateway/src/client.ts',
    text: 'if (this.#typedAheadBytes > this.#deps.limits.typeAheadBytes) this.holdInput();',
    replacement: '',
    caughtBy: { file: 'test/fuzz/gateway.test.ts', test: 'whatever comes is handled as agreed: a terminal client' },
  },
];

export const breakages: readonly Breakage[] = [...ofScripts, ...ofController, ...ofGateway];
