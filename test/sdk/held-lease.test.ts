import { expect, test } from 'vitest';
import { LeaseLost } from '../../controller/sdk/errors.ts';
import { HeldLease } from '../../controller/sdk/held-lease.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { type FakeLeases, fakeLeases } from './fake-leases.ts';

/** A lease that renews itself, on a clock that is turned by hand. */

const of = { user: 'alice', id: 'job-1', body: { kind: 'job', holder: 'agent-7', ttlMs: 60_000 } } as const;
const never = new AbortController().signal;

async function held(random = 0): Promise<{ clock: FakeClock; server: FakeLeases; lease: HeldLease }> {
  const clock = new FakeClock();
  const server = fakeLeases(clock);
  const lease = await HeldLease.take({ api: server.api, clock, random: () => random }, of, never);
  return { clock, server, lease };
}

function reasonOf(lease: HeldLease): string | null {
  if (!lease.lost.aborted) return null;
  const { reason } = lease.lost;
  return reason instanceof LeaseLost ? reason.reason : `not a LeaseLost: ${reason}`;
}

test('it is renewed after a third of its ttl, or at random a little earlier', async () => {
  const { clock, server } = await held();
  await clock.advance(61_000);
  expect(server.asked).toEqual(['take 0', 'renew 20000', 'renew 40000', 'renew 60000']);
  const other = await held(0.5);
  await other.clock.advance(20_000);
  expect(other.server.asked).toEqual(['take 0', 'renew 18000']);
});

test('while the server is away it is tried again until the lease’s own end, and then it is lost', async () => {
  const { clock, server, lease } = await held();
  server.answer = 'unreachable';
  await clock.advance(59_900);
  expect(reasonOf(lease)).toBe(null);
  expect(server.asked.length).toBeGreaterThan(8);
  await clock.advance(200);
  expect(reasonOf(lease)).toBe('expired');
  expect(clock.pending).toBe(0);
});

test('a server that comes back just in time, by another process or with Redis, finds it held', async () => {
  for (const away of ['unreachable', 'redis-unavailable', 'shutting-down', 'internal', 'nothing'] as const) {
    const { clock, server, lease } = await held();
    server.answer = away;
    await clock.advance(50_000);
    server.answer = 'as it is';
    await clock.advance(60_000);
    expect([away, reasonOf(lease), server.live.size]).toEqual([away, null, 1]);
  }
});

test('a lease that Redis lost is taken again', async () => {
  const { clock, server, lease } = await held();
  server.live.clear();
  await clock.advance(20_000);
  expect(server.asked).toEqual(['take 0', 'renew 20000', 'take 20000']);
  expect(reasonOf(lease)).toBe(null);
  await clock.advance(20_000);
  expect(server.asked.at(-1)).toBe('renew 40000');
});

test('a lease that somebody ended is lost with the reason, at once where it is asked about', async () => {
  const { clock, server, lease } = await held();
  server.answer = 'lease-ended';
  await lease.check();
  expect(reasonOf(lease)).toBe('reaped');
  expect(String(lease.lost.reason)).toContain('an operator reaped the box; only its home survives');
  await clock.advance(120_000);
  expect(server.asked).toEqual(['take 0', 'renew 0']);
  expect(clock.pending).toBe(0);
});

test('a renewal that is refused for good is a loss with the server’s own words', async () => {
  const { clock, server, lease } = await held();
  server.answer = 'token-wrong';
  await clock.advance(20_000);
  expect(reasonOf(lease)).toBe('refused');
  expect(String(lease.lost.reason)).toContain('refused: token-wrong');
});

test('after the release nothing is asked any more and no timer is left', async () => {
  const { clock, server, lease } = await held();
  expect(await Promise.all([lease.release(), lease.release()])).toEqual(['released', 'released']);
  await lease.check();
  await clock.advance(120_000);
  expect(server.asked).toEqual(['take 0', 'release 0']);
  expect([clock.pending, reasonOf(lease)]).toEqual([0, null]);
});

test('a release that nobody answers is given up in the end: the lease ends by itself', async () => {
  const { clock, server, lease } = await held();
  server.answer = 'unreachable';
  const released = lease.release();
  await settled();
  await clock.advance(10_100);
  expect(await released).toBe('expires');
  expect(clock.pending).toBe(0);
});

test('a release that is answered late, by a server that was away, is done', async () => {
  const { clock, server, lease } = await held();
  server.answer = 'redis-unavailable';
  const released = lease.release();
  await settled();
  await clock.advance(3_000);
  server.answer = 'as it is';
  await clock.advance(5_000);
  expect(await released).toBe('released');
  expect(server.live.size).toBe(0);
});

test('a renewal that is under way is waited for, so that nothing comes after the release', async () => {
  const { clock, server, lease } = await held();
  server.answer = 'nothing';
  await clock.advance(20_000);
  const released = lease.release();
  await settled();
  await clock.advance(1_000);
  expect(server.asked).toEqual(['take 0', 'renew 20000']);
  server.answer = 'as it is';
  await clock.advance(10_000);
  expect(await released).toBe('released');
  expect(server.asked.at(-1)).toMatch(/^release/);
  expect(clock.pending).toBe(0);
});

test('a caller that gives up while it is taken leaves no lease', async () => {
  const clock = new FakeClock();
  const server = fakeLeases(clock);
  const stop = new AbortController();
  const taking = HeldLease.take({ api: server.api, clock, random: () => 0 }, of, stop.signal);
  stop.abort(new Error('enough'));
  await expect(taking).rejects.toThrow('enough');
  expect([server.live.size, clock.pending]).toEqual([0, 0]);
});
