import { describe, expect, test } from 'vitest';
import { Desired, Hold, LeaseEndReason, LeaseKind, largestRenewedTtlMs, refusedTtl, Session } from '#shared/lease.ts';

const monthMs = 30 * 24 * 3_600_000;

describe('how long a lease may last', () => {
  test.each([
    ['terminal', 300_000],
    ['job', 300_000],
    ['pin', monthMs],
  ] as const)('a %s lease: from ten seconds to %i ms', (kind, longestMs) => {
    for (const ttlMs of [10_000, 10_001, longestMs]) expect(refusedTtl(kind, ttlMs)).toBeNull();
    for (const ttlMs of [9_999, 0, -10_000, longestMs + 1, 10_000.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(refusedTtl(kind, ttlMs)).toBe(
        `ttlMs of a ${kind} lease is a whole number from 10000 to ${longestMs}, not ${ttlMs}`,
      );
  });

  test('an amnesty covers the longest lease that its holder renews', () => {
    for (const kind of ['terminal', 'job'] as const) {
      expect(refusedTtl(kind, largestRenewedTtlMs)).toBeNull();
      expect(refusedTtl(kind, largestRenewedTtlMs + 1)).not.toBeNull();
    }
  });
});

test('the words of a lease, which Redis and the API know too', () => {
  expect(LeaseKind.options).toEqual(['terminal', 'job', 'pin']);
  expect(LeaseEndReason.options).toEqual(['released', 'expired', 'reaped', 'deleted', 'attached-idle']);
  const holds = ['job', 'pin', 'attached', 'activity', 'keep'].map((by) => ({ by, holder: 'agent-7', untilMs: 5 }));
  expect(holds.map((hold) => Hold.parse(hold))).toEqual(holds);
  expect(Hold.safeParse({ by: '', holder: 'agent-7', untilMs: 5 }).success).toBe(false);
  const session = { id: 's', user: 'alice', gateway: 'g', containerId: 'c', execId: 'e', startedAt: 5 };
  const written = { persist: 'tmux', detachedAt: 7, record: 'off', tickets: [{ hash: 'h', mode: 'ro', name: 'bob' }] };
  const mode = 'rw';
  expect(Session.parse({ ...session, mode, ...written })).toEqual({ ...session, mode, ...written });
  const unwritten = { persist: 'none', detachedAt: 0, record: 'off', tickets: [] };
  expect(Session.parse({ ...session, mode: 'ro' })).toEqual({ ...session, mode: 'ro', ...unwritten });
  expect(Session.safeParse({ ...session, mode: '' }).success).toBe(false);
});

test('desired state as Redis stores it, all text: what is missing never happened', () => {
  expect(Desired.parse({ class: 'default', generation: '7' })).toEqual({
    ...{ class: 'default', generation: 7, lastActivityAt: 0, lastActivityCause: '', lastInputAt: 0 },
    ...{ reapGeneration: 0, recreateGeneration: 0, adoptContainerId: '', adoptAtOnce: false },
  });
  const times = { lastActivityAt: '5', lastInputAt: '6', reapGeneration: '2', recreateGeneration: '3', deletedAt: '9' };
  expect(Desired.parse({ class: 'a', generation: '7', ...times, adoptAtOnce: '1' })).toMatchObject({
    ...{ lastActivityAt: 5, lastInputAt: 6, reapGeneration: 2, recreateGeneration: 3, deletedAt: 9, adoptAtOnce: true },
  });
  expect(Desired.parse({ class: 'a', generation: 1, adoptAtOnce: '0' }).adoptAtOnce).toBe(false);
});
