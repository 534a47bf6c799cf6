import { beforeEach, describe, expect, test } from 'vitest';
import { type BoxStore, sweeper } from '#shared/box-store.ts';
import { EngineError } from '#shared/faults.ts';
import { UserName } from '#shared/identity.ts';
import { Lease, Session } from '#shared/lease.ts';
import { createLogger } from '#shared/log.ts';
import type { ModeView } from '#shared/operator-schemas.ts';
import { markLimits } from '../../controller/src/sweep/marks.ts';
import { staleSessions, type SweepFacts } from '../../controller/src/sweep/stale.ts';
import { Sweep, sweepLimits } from '../../controller/src/sweep/sweep.ts';
import { alice, pauseMode, rolloutsOn, runMode } from '../support/box-facts.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { fakePort } from '../support/fake-port.ts';
import { fakeRuntime } from '../support/fake-runtime.ts';

const s = 1_000;
const minute = 60 * s;
const graceMs = 5 * minute;
const now = 1_700_000_000_000;

function sessionOf(changes: Partial<Session> = {}): Session {
  const run = { gateway: 'g1', containerId: 'c1', execId: 'e1', mode: 'rw', startedAt: now - 60 * minute };
  return Session.parse({ id: 's1', user: alice, ...run, ...changes });
}

function leaseOf(id: string): Lease {
  const times = { takenAt: now, expiresAt: now + 30 * s, ttlMs: 30 * s };
  const kind = id.startsWith('exec:') ? 'job' : 'terminal';
  return Lease.parse({ id, kind, holder: 'somebody', ...times });
}

describe('a session is stale', () => {
  const facts: SweepFacts = { now, trustedForMs: 10 * minute, graceMs, goneForMs: () => 0, leases: [] };

  function whether(session: Partial<Session>, changes: Partial<SweepFacts>): false | 'once' | 'twice' {
    const [stale] = staleSessions([sessionOf(session)], { ...facts, ...changes });
    if (stale === undefined) return false;
    return stale.lookTwice ? 'twice' : 'once';
  }
  const goneFor = (ms: number): Partial<SweepFacts> => ({ goneForMs: () => ms, leases: [leaseOf('terminal:s1:a')] });

  test.each([
    ['its gateway has been gone for a minute', {}, goneFor(minute), 'once'],
    ['its gateway has been gone for less', {}, goneFor(minute - 1), false],
    ['another gateway may still resume it', { persist: 'tmux' }, goneFor(graceMs + minute - 1), false],
    ['nobody resumed it in its grace', { persist: 'tmux' }, goneFor(graceMs + minute), 'once'],
    [
      'its gateway is gone, and Redis is trusted since just now',
      {},
      { ...goneFor(minute), trustedForMs: minute - 1 },
      false,
    ],
    ['its gateway lives, and it is attached', {}, { leases: [leaseOf('terminal:s1:a')] }, false],
    ['its gateway lives, and has no lease for it', {}, {}, 'twice'],
    ['its gateway lives, and has a lease for another', {}, { leases: [leaseOf('terminal:s11:a')] }, 'twice'],
    ['its gateway keeps it for its grace', { detachedAt: now - graceMs - minute }, {}, false],
    ['its gateway keeps it for longer than its grace', { detachedAt: now - graceMs - minute - 1 }, {}, 'twice'],
    ['its times are of a clock that was set back', { startedAt: now + 1, detachedAt: now + 1 }, {}, 'twice'],
    ['it is new', { startedAt: now - minute }, {}, false],
    ['its gateway may not have had time to write', {}, { trustedForMs: 5 * minute - 1 }, false],
  ] as const)('or not, when %s', (_when, session, changes, wanted) => {
    expect(whether(session, changes)).toBe(wanted);
  });
});

describe('the sweep', () => {
  const { signal } = new AbortController();
  let clock: FakeClock;
  let sweep: Sweep;
  /** Redis */
  let sessions: Session[];
  let leases: Lease[];
  let tombstones: Lease[];
  let gateways: Record<string, number>;
  let trustedForMs: number;
  let mode: ModeView;
  let storeIsDown: boolean;
  /** in order */
  let ended: string[];
  /** whose the sessions were when processes were ended */
  let owners: string[];
  /** what runs, by container */
  let marks: Record<string, string[]>;
  let looks: string[];
  let engineFails: boolean;
  let beforeEnd: () => void;

  const redisNow = (): number => now + clock.monotonicMs();

  beforeEach(() => {
    clock = new FakeClock();
    sessions = [];
    leases = [];
    tombstones = [];
    gateways = { g1: now + 24 * 60 * minute };
    trustedForMs = 10 * minute;
    mode = runMode;
    [storeIsDown, engineFails] = [false, false];
    [ended, owners, looks, marks] = [[], [], [], {}];
    beforeEnd = () => {};
    const store = fakePort<BoxStore>({
      users: async () => [...new Set([alice, ...sessions.map(({ user }) => user)])],
      sessions: async (user) => {
        if (storeIsDown) throw new Error('Redis is away');
        return sessions.filter((session) => session.user === user);
      },
      read: async (user) => {
        const own = sessions.filter((session) => session.user === user);
        const none = {
          desired: null,
          ended: tombstones,
          status: null,
          holds: [],
          wantedUntil: 0,
          mode,
          rollout: rolloutsOn,
          vaultRevision: 0,
          givesWayAt: null,
          homeUsage: null,
        };
        return { ...none, user, now: redisNow(), leases, sessions: own };
      },
      mode: async () => ({ now: redisNow(), mode }),
      gateways: async () => ({
        now: redisNow(),
        gateways: Object.entries(gateways).map(([id, expiresAt]) => ({ id, address: '', fingerprint: '', expiresAt })),
      }),
      sweepSession: async (session) => {
        beforeEnd();
        const now = sessions.find(({ user, id }) => user === session.user && id === session.id);
        if ((now?.gateway ?? '') !== session.gateway) return false;
        sessions = [...sessions.filter((one) => one !== now), { ...session, gateway: sweeper }];
        return true;
      },
      endSession: async ({ user, id, gateway }) => {
        const before = sessions.length;
        sessions = sessions.filter((one) => one.user !== user || one.id !== id || one.gateway !== gateway);
        if (sessions.length < before) ended.push(`record ${id}`);
        return sessions.length < before;
      },
    });
    const runtime = fakeRuntime({
      sessionMarks: async (id) => {
        looks.push(id);
        return marks[id] ?? [];
      },
      endSession: async (id, session) => {
        if (engineFails)
          throw new EngineError({ operation: 'endSession', kind: 'timeout', status: null, message: 'no' });
        owners.push(sessions.find((one) => one.id === session)?.gateway ?? '');
        ended.push(`${session} in ${id}`);
        marks[id] = (marks[id] ?? []).filter((mark) => mark !== session);
      },
    });
    const log = createLogger({ name: 'sweep-test', level: 'silent' });
    sweep = new Sweep({ store, runtime, clock, log, graceMs, trustedForMs: () => trustedForMs });
  });

  async function rounds(count: number): Promise<void> {
    for (let round = 0; round < count; round += 1) {
      await clock.advance(sweepLimits.everyMs);
      await sweep.round(signal);
    }
  }

  test('ends what a dead gateway left, so that nobody begins it meanwhile, and nothing of one that lives', async () => {
    gateways = { g1: now - 2 * minute, g2: now + 60 * minute };
    sessions = [sessionOf(), sessionOf({ id: 's2', gateway: 'g2', detachedAt: now })];
    await rounds(1);
    expect([ended, owners]).toEqual([['s1 in c1', 'record s1'], [sweeper]]);
    expect(sessions.map(({ id }) => id)).toEqual(['s2']);
  });

  test('ends nothing while the reconciler is paused, and what is left then afterwards', async () => {
    gateways = { g1: now - 2 * minute };
    sessions = [sessionOf()];
    mode = pauseMode;
    await rounds(5);
    expect([ended, looks]).toEqual([[], []]);
    mode = runMode;
    await rounds(1);
    expect(ended).toEqual(['s1 in c1', 'record s1']);
  });

  test('ends nothing more from when the reconciler is paused within a round', async () => {
    gateways = { g1: now - 2 * minute };
    sessions = Array.from({ length: 10 }, (_none, n) => sessionOf({ id: `s${n}`, containerId: '' }));
    beforeEnd = () => (mode = pauseMode);
    await rounds(1);
    // As many as are ended at once had been asked for.
    expect(ended.length).toBeLessThanOrEqual(sweepLimits.endsAtOnce);
    expect(sessions.length).toBeGreaterThanOrEqual(10 - sweepLimits.endsAtOnce);
  });

  test('ends nothing of what is recorded nowhere from when the reconciler is paused within a round', async () => {
    marks = { c1: ['sLost', 'sOther'] };
    sweep.listed([{ user: alice, id: 'c1' }]);
    await rounds(1);
    beforeEnd = () => (mode = pauseMode);
    await rounds(1);
    expect(ended).toEqual(['sLost in c1', 'record sLost']);
  });

  test('leaves a session that another gateway took over in the moment before', async () => {
    gateways = { g1: now - 2 * minute };
    sessions = [sessionOf()];
    beforeEnd = () => (sessions = [sessionOf({ gateway: 'g2' })]);
    await rounds(1);
    expect([ended, sessions.map(({ gateway }) => gateway)]).toEqual([[], ['g2']]);
  });

  test('gives a gateway that Redis does not know a minute from when it was missed', async () => {
    gateways = {};
    sessions = [sessionOf()];
    await rounds(1);
    expect(ended).toEqual([]);
    await rounds(1);
    expect(ended).toEqual(['s1 in c1', 'record s1']);
  });

  test.each([
    ['its gateway was back meanwhile', () => (gateways = { g1: now + 60 * minute })],
    ['Redis was distrusted', () => (trustedForMs = 0)],
  ])('begins to count anew when %s', async (_when, happens) => {
    sessions = [sessionOf({ detachedAt: now })];
    gateways = {};
    await rounds(1);
    happens();
    await rounds(1);
    gateways = {};
    trustedForMs = 10 * minute;
    await rounds(1);
    expect(ended).toEqual([]);
    await rounds(1);
    expect(ended).toEqual(['s1 in c1', 'record s1']);
  });

  test('looks twice at a session that its gateway does not know', async () => {
    sessions = [sessionOf()];
    await rounds(1);
    leases = [leaseOf('terminal:s1:a')];
    await rounds(1);
    leases = [];
    await rounds(1);
    expect(ended).toEqual([]);
    await rounds(1);
    expect(ended).toEqual(['s1 in c1', 'record s1']);
  });

  test('does nothing while Redis is not trusted, and leaves users whose records cannot be read', async () => {
    gateways = {};
    sessions = [sessionOf()];
    sweep.listed([{ user: alice, id: 'c1' }]);
    marks = { c1: ['sLost'] };
    trustedForMs = 0;
    await rounds(5);
    [trustedForMs, storeIsDown] = [10 * minute, true];
    sweep.listed([]);
    await rounds(5);
    expect([ended, looks]).toEqual([[], []]);
  });

  test('ends a session that is recorded nowhere when it was seen twice, and looks seldom where there is none', async () => {
    sweep.listed([
      { user: alice, id: 'c1' },
      { user: UserName.parse('bob'), id: 'c2' },
    ]);
    marks = { c1: ['sLost', 'sKept', 'sNew', 'sAt', 'sJob'] };
    sessions = [sessionOf({ id: 'sKept', detachedAt: now })];
    leases = [leaseOf('terminal:sAt:a'), leaseOf('exec:sJob')];
    await rounds(1);
    expect(ended).toEqual([]);
    marks.c1 = marks.c1?.filter((mark) => mark !== 'sNew') ?? [];
    await rounds(1);
    expect([ended, owners]).toEqual([['sLost in c1', 'record sLost'], [sweeper]]);
    expect(looks.toSorted()).toEqual(['c1', 'c1', 'c2']);
    marks = {};
    await rounds(8);
    expect(looks.filter((id) => id === 'c2')).toEqual(['c2']);
    await rounds(1);
    expect(looks.filter((id) => id === 'c2')).toEqual(['c2', 'c2']);
  });

  test.each([
    ['has expired', 'exec:sJob', 'expired', 1, ['sJob in c1', 'record sJob']],
    ['was given back', 'exec:sJob', 'released', 1, []],
    ['was a terminal’s', 'terminal:sJob:a', 'expired', 1, []],
    ['expired long ago', 'exec:sJob', 'expired', -3 * minute, []],
  ] as const)('looks for a dead gateway’s job at once, where its lease %s', async (_how, id, endReason, at, wanted) => {
    sweep.listed([{ user: alice, id: 'c1' }]);
    await rounds(1);
    marks = { c1: ['sJob'] };
    tombstones = [{ ...leaseOf(id), endReason, endedAt: redisNow() + at }];
    await rounds(2);
    expect(ended).toEqual(wanted);
  });

  test('does not look into boxes before Redis was trusted for five minutes', async () => {
    sweep.listed([{ user: alice, id: 'c1' }]);
    trustedForMs = 5 * minute - 1;
    await rounds(2);
    expect(looks).toEqual([]);
  });

  test('looks into so many boxes in a round and no more, each in its turn', async () => {
    const boxes = Array.from({ length: 100 }, (_, index) => ({ user: alice, id: `c${index}` }));
    sweep.listed(boxes);
    for (let round = 1; round <= 4; round += 1) {
      await rounds(1);
      expect(looks).toHaveLength(Math.min(100, round * markLimits.looksPerRound));
    }
    expect(new Set(looks).size).toBe(100);
  });

  test('tries again where the engine did not answer, and keeps the session to itself until then', async () => {
    gateways = { g1: now - 2 * minute };
    sessions = [sessionOf()];
    sweep.listed([{ user: alice, id: 'c1' }]);
    marks = { c1: ['s1', 'sLost'] };
    engineFails = true;
    await rounds(2);
    expect(sessions.map(({ id, gateway }) => [id, gateway])).toEqual([
      ['s1', sweeper],
      ['sLost', sweeper],
    ]);
    engineFails = false;
    sessions = sessions.filter(({ id }) => id === 's1');
    marks = {};
    await rounds(1);
    expect(ended).toEqual(['s1 in c1', 'record s1']);
  });

  test('asks nothing of the engine for a session that never had a shell', async () => {
    gateways = { g1: now - 2 * minute };
    sessions = [sessionOf({ containerId: '' })];
    await rounds(1);
    expect(ended).toEqual(['record s1']);
  });

  test('runs every minute until its term ends, whatever fails, and leaves no timer', async () => {
    const abort = new AbortController();
    const running = sweep.run(abort.signal);
    gateways = { g1: now - 2 * minute };
    storeIsDown = true;
    await clock.advance(sweepLimits.everyMs);
    storeIsDown = false;
    sessions = [sessionOf()];
    await clock.advance(sweepLimits.everyMs);
    expect(ended).toEqual(['s1 in c1', 'record s1']);
    abort.abort();
    await running;
    expect(clock.pending).toBe(0);
  });
});
