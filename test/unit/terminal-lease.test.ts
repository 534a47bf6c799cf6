import { afterEach, describe, expect, test } from 'vitest';
import type { Activity, BoxStore, Renewal, TakenLease, TakeRefusal } from '#shared/box-store.ts';
import { LeaseId } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import type { Ending } from '../../gateway/src/ending.ts';
import { TerminalLease } from '../../gateway/src/lease.ts';
import { defaultLimits } from '../../gateway/src/limits.ts';
import { alice, now } from '../support/box-facts.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { fakePort } from '../support/fake-port.ts';

const limits = { ...defaultLimits, leaseTtlMs: 30_000, renewEveryMs: 10_000, renewRetryMs: 2_000, quietMs: 7_000 };
const id = LeaseId.parse('terminal-1');
const taken: TakenLease = {
  ...{ leaseId: id, expiresAt: now + 30_000, now, generation: 5, class: 'default' },
  ...{ phase: 'ready' as const, containerId: 'box-1', record: 'off' as const },
  past: { lastReap: null, readyAt: now - 1_000 },
};
const renewed: Renewal = { ok: true, expiresAt: now + 30_000, now, wantedUntil: now + 60_000 };

/** A Redis that answers what the test says, and when. */
class World {
  readonly clock = new FakeClock();
  readonly calls: string[] = [];
  readonly activities: Activity[] = [];
  readonly endings: Ending[] = [];
  readonly warnings: string[] = [];
  /** until when the box is wanted, as it was told */
  readonly wanted: number[] = [];
  /** what the next renewals answer; after that they are granted */
  replies: (Renewal | Error | Promise<Renewal>)[] = [];
  beforeTake: Promise<void> = Promise.resolve();
  refusal: { refused: TakeRefusal; detail: string } | Error | null = null;
  /** of what is left to chance */
  chance = 0;

  async take(): Promise<TerminalLease> {
    const store = fakePort<BoxStore>({
      take: async ({ user, kind, holder, ttlMs, class: className }) => {
        this.calls.push(`take ${user} ${kind} "${holder}" ${ttlMs} ${className}`);
        await this.beforeTake;
        if (this.refusal instanceof Error) throw this.refusal;
        return this.refusal === null ? { ok: true, lease: taken } : { ok: false, ...this.refusal };
      },
      renew: async (user, lease, ttlMs, activity) => {
        this.calls.push(`renew ${user} ${lease} ${ttlMs}`);
        this.activities.push(activity);
        const reply = await (this.replies.shift() ?? renewed);
        if (reply instanceof Error) throw reply;
        return reply;
      },
      release: async (user, lease, by) => {
        this.calls.push(`release ${user} ${lease} ${by}`);
        return true;
      },
    });
    const write = (line: string): void => void this.warnings.push(line);
    const log = createLogger({ name: 'gateway', level: 'warn', destination: { write } });
    const deps = { store, clock: this.clock, random: () => this.chance, limits, log };
    const lease = await TerminalLease.take(
      deps,
      { user: alice, id, holder: 'terminal of alice' },
      {
        ended: (ending) => this.endings.push(ending),
        renewed: ({ wantedUntil }) => this.wanted.push(wantedUntil),
      },
    );
    this.calls.length = 0;
    return lease;
  }
}

let world = new World();
afterEach(() => {
  world = new World();
});

async function leased(): Promise<TerminalLease> {
  return await world.take();
}

describe('a terminal lease', () => {
  test('is taken for the class that the box has', async () => {
    const lease = world.take();
    expect(world.calls).toEqual(['take alice terminal "terminal of alice" 30000 null']);
    expect((await lease).taken).toBe(taken);
  });

  test('is renewed every ten seconds, long before it expires', async () => {
    await leased();
    await world.clock.advance(9_999);
    expect(world.calls).toEqual([]);
    await world.clock.advance(1);
    expect(world.calls).toEqual(['renew alice terminal-1 30000']);
    await world.clock.advance(40_000);
    expect(world.calls).toHaveLength(5);
    expect(world.clock.pending).toBe(1);
  });

  test('is renewed up to a third sooner, by chance: leases that were taken at once are not renewed at once for ever', async () => {
    world.chance = 0.5;
    await leased();
    expect(world.clock.nextInMs).toBe(8_500);
    world.chance = 0.999;
    await world.clock.advance(8_500);
    expect(world.calls).toEqual(['renew alice terminal-1 30000']);
    expect(world.clock.nextInMs).toBeCloseTo(7_003);
  });

  test('tells at each renewal until when the box is kept', async () => {
    await leased();
    await world.clock.advance(10_000);
    expect(world.wanted).toEqual([now + 60_000]);
  });

  test('tells how long ago something was typed and shown, and nothing where nothing was', async () => {
    const lease = await leased();
    await world.clock.advance(10_000);
    lease.output();
    await world.clock.advance(4_000);
    lease.input();
    await settled();
    await world.clock.advance(3_000);
    await lease.check();
    expect(world.activities).toEqual([
      { inputAgeMs: null, outputAgeMs: null },
      { inputAgeMs: 0, outputAgeMs: 4_000 },
      { inputAgeMs: 3_000, outputAgeMs: 7_000 },
    ]);
  });

  test('tells of the first input after a silence at once, so that a reap sees it', async () => {
    const lease = await leased();
    lease.input();
    await settled();
    expect(world.calls).toHaveLength(1);
    for (let i = 0; i < 3; i += 1) {
      await world.clock.advance(2_000);
      lease.input();
    }
    await world.clock.advance(6_999); // not quite a silence since the last
    lease.input();
    await settled();
    expect(world.calls).toHaveLength(2); // the first, and the one that was due anyway
    await world.clock.advance(7_000);
    world.calls.length = 0;
    lease.input();
    await settled();
    expect(world.calls).toHaveLength(1);
  });
});

describe('renewals', () => {
  test('are one at a time: what is asked for meanwhile is one more', async () => {
    let answer = (_reply: Renewal): void => {};
    const lease = await leased();
    world.replies = [new Promise((resolve) => (answer = resolve))];
    const checks = [lease.check(), lease.check(), lease.check()];
    await settled();
    expect(world.calls).toHaveLength(1);
    let done = 0;
    for (const check of checks) void check.then(() => (done += 1));
    answer(renewed);
    await settled();
    expect([world.calls.length, done]).toEqual([2, 3]);
    expect(world.clock.pending).toBe(1);
    await lease.check();
    expect(world.calls).toHaveLength(3);
  });

  test('that fail are tried again sooner, for ever, and told once', async () => {
    await leased();
    world.replies = Array.from({ length: 20 }, () => new Error('Redis is away'));
    await world.clock.advance(10_000);
    expect(world.calls).toHaveLength(1);
    await world.clock.advance(1_999);
    expect(world.calls).toHaveLength(1);
    await world.clock.advance(1);
    expect(world.calls).toHaveLength(2);
    await world.clock.advance(18 * 2_000);
    expect(world.calls).toHaveLength(20);
    expect(world.warnings).toHaveLength(1);
    expect(world.warnings[0]).toContain('the terminal goes on');
    await world.clock.advance(2_000); // Redis is back
    expect(world.calls).toHaveLength(21);
    await world.clock.advance(9_999);
    expect(world.calls).toHaveLength(21);
    world.replies = [new Error('Redis is away')];
    await world.clock.advance(1);
    expect(world.warnings).toHaveLength(2);
    expect(world.endings).toEqual([]);
  });

  test('that fail while more is asked for do not run in a circle', async () => {
    let fail = (_error: Error): void => {};
    const lease = await leased();
    world.replies = [new Promise((_resolve, reject) => (fail = reject))];
    const checks = [lease.check(), lease.check()];
    await settled();
    fail(new Error('Redis is away'));
    await Promise.all(checks);
    expect(world.calls).toHaveLength(1);
    expect(world.clock.nextInMs).toBe(2_000);
  });

  test.each([
    { ok: false, refused: 'lease-unknown' },
    { ok: false, refused: 'lease-ended', reason: 'expired' },
  ] as const)('that find the lease lost (%j) take it again', async (reply) => {
    const lease = await leased();
    world.replies = [reply];
    await lease.check();
    expect(world.calls).toEqual(['renew alice terminal-1 30000', 'take alice terminal "terminal of alice" 30000 null']);
    expect(world.endings).toEqual([]);
    expect(world.warnings).toHaveLength(1);
    expect(world.warnings[0]).toContain('taking it again');
    expect(world.clock.nextInMs).toBe(10_000);
  });

  test('that cannot take it again for now go on trying', async () => {
    const lease = await leased();
    world.replies = [{ ok: false, refused: 'lease-unknown' }];
    world.refusal = new Error('Redis is away');
    await lease.check();
    expect(world.endings).toEqual([]);
    expect(world.clock.nextInMs).toBe(2_000);
  });
});

describe('an end from outside', () => {
  test.each([
    ['reaped', 'reaped'],
    ['deleted', 'deleted'],
    ['attached-idle', 'idle'],
    ['released', 'released'],
  ] as const)('%s is told once, as %s, and nothing is sent any more', async (reason, told) => {
    const lease = await leased();
    world.replies = [{ ok: false, refused: 'lease-ended', reason }];
    await world.clock.advance(10_000);
    expect(world.endings.map(({ close, exit }) => [close, exit])).toEqual([[told, { code: null, reason: told }]]);
    await lease.check();
    lease.input();
    await world.clock.advance(60_000);
    expect(world.calls).toHaveLength(1);
    expect([world.endings.length, world.clock.pending, world.warnings]).toEqual([1, 0, []]);
  });

  test('is told where a lost lease is refused', async () => {
    const lease = await leased();
    world.replies = [{ ok: false, refused: 'lease-unknown' }];
    world.refusal = { refused: 'class-held', detail: 'big' };
    await lease.check();
    expect(world.endings).toMatchObject([{ close: 'lease-refused', errorCode: 'class-held' }]);
    expect(world.clock.pending).toBe(0);
  });

  test('that comes of taking it again after the release is not told', async () => {
    let answer = (): void => {};
    const lease = await leased();
    world.replies = [{ ok: false, refused: 'lease-unknown' }];
    world.refusal = { refused: 'class-held', detail: 'big' };
    world.beforeTake = new Promise((resolve) => (answer = resolve));
    void lease.check();
    await settled();
    const released = lease.release('its user');
    answer();
    await released;
    expect([world.endings, world.clock.pending]).toEqual([[], 0]);
  });

  test('that a renewal brings after the release is not told', async () => {
    let answer = (_reply: Renewal): void => {};
    const lease = await leased();
    world.replies = [new Promise((resolve) => (answer = resolve))];
    void lease.check();
    const released = lease.release('its user');
    answer({ ok: false, refused: 'lease-ended', reason: 'reaped' });
    await released;
    expect(world.endings).toEqual([]);
    expect(world.calls).toEqual(['renew alice terminal-1 30000', 'release alice terminal-1 its user']);
    expect(world.clock.pending).toBe(0);
  });
});

describe('a release', () => {
  test('ends the renewals, and comes after the one that is under way', async () => {
    let answer = (_reply: Renewal): void => {};
    const lease = await leased();
    world.replies = [new Promise((resolve) => (answer = resolve))];
    const checks = [lease.check(), lease.check()];
    const released = lease.release('its user');
    await settled();
    expect(world.calls).toHaveLength(1);
    answer(renewed);
    await Promise.all([...checks, released]);
    await world.clock.advance(60_000);
    expect(world.calls).toEqual(['renew alice terminal-1 30000', 'release alice terminal-1 its user']);
    expect(world.clock.pending).toBe(0);
  });

  test('cancels the next renewal', async () => {
    const lease = await leased();
    await lease.release('its user');
    expect(world.clock.pending).toBe(0);
  });
});

test.each([
  [
    { refused: 'name-differs-by-case', detail: 'Alice' },
    ['lease-refused', 'name-differs-by-case', 'user alice differs only by case from Alice, who is known already'],
  ],
  [
    { refused: 'too-many-leases', detail: '64' },
    ['too-many-sessions', 'too-many-sessions', 'alice has 64 leases already; end some'],
  ],
  [{ refused: 'class-held', detail: 'big' }, ['lease-refused', 'class-held', 'no lease for alice: class-held (big)']],
  [
    { refused: 'lease-mismatch', detail: 'bob' },
    ['lease-refused', 'lease-mismatch', 'no lease for alice: lease-mismatch (bob)'],
  ],
] as const)('a lease that is refused (%j) says why', async (refusal, [close, errorCode, message]) => {
  world.refusal = refusal;
  await expect(world.take()).rejects.toMatchObject({ close, errorCode, message });
  expect(world.clock.pending).toBe(0);
});
