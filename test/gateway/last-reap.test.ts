import { describe, expect, test } from 'vitest';
import { UserName } from '#shared/identity.ts';
import { type BoxStatus, DrainCause } from '#shared/status.ts';
import { lastReapNotice, ReapNews } from '../../gateway/src/last-reap.ts';

const hourMs = 3_600_000;
const now = Date.UTC(2026, 5, 1, 12);

function statusWith(part: Partial<BoxStatus>): BoxStatus {
  return {
    version: 1,
    phase: 'ready',
    containerId: 'c1',
    containerGeneration: 1,
    keepUntil: 0,
    keepCause: '',
    value: 'ready',
    context: {},
    step: null,
    conditions: [],
    message: '',
    progress: null,
    observedGeneration: 1,
    lastReap: null,
    readyAt: now - 1_000,
    ...part,
  };
}

function reaped(cause: DrainCause, agoMs = 2 * hourMs): BoxStatus['lastReap'] {
  return { cause, at: now - agoMs, message: '' };
}

describe('what is said of the box before this one', () => {
  test('what happened, when, why, and what survived', () => {
    expect(lastReapNotice({ status: statusWith({ lastReap: reaped('idle') }) }, now)).toBe(
      'the box before this one was reaped because nobody needed it any more, 2 h ago (10:00:00 UTC); only the home survived',
    );
    expect(lastReapNotice({ status: statusWith({ lastReap: reaped('reap', 30 * hourMs) }) }, now)).toBe(
      'the box before this one was reaped by an operator, 1 d 6 h ago (2026-05-31 06:00:00 UTC); only the home survived',
    );
  });

  test('that it gave way to others', () => {
    expect(lastReapNotice({ status: statusWith({ lastReap: reaped('gave-way') }) }, now)).toBe(
      "the box before this one was idle and gave way to others' who waited for one, 2 h ago (10:00:00 UTC); only the home survived",
    );
  });

  test('every cause that loses a box is told, one that does not is not', () => {
    const told = DrainCause.options.filter((cause) =>
      lastReapNotice({ status: statusWith({ lastReap: reaped(cause) }) }, now),
    );
    expect(told).toEqual(['idle', 'gave-way', 'reap', 'recreate', 'deleted', 'adopt', 'rollout']);
  });

  test('nothing where there was none, and nothing of a box that has long been there', () => {
    expect(lastReapNotice({ status: null }, now)).toBeNull();
    expect(lastReapNotice({ status: statusWith({}) }, now)).toBeNull();
    const long = { lastReap: reaped('idle', 99 * hourMs), readyAt: now - 25 * hourMs };
    expect(lastReapNotice({ status: statusWith(long) }, now)).toBeNull();
    expect(lastReapNotice({ status: statusWith({ ...long, readyAt: null }) }, now)).not.toBeNull();
  });

  test('each reap is told once to each user', () => {
    const [alice, bob] = [UserName.parse('alice'), UserName.parse('bob')];
    const news = new ReapNews();
    const first = statusWith({ lastReap: reaped('idle') });
    expect(news.next({ user: alice, status: first }, now)).not.toBeNull();
    expect(news.next({ user: alice, status: first }, now)).toBeNull();
    expect(news.next({ user: bob, status: first }, now)).not.toBeNull();
    expect(news.next({ user: alice, status: statusWith({ lastReap: reaped('idle', hourMs) }) }, now)).not.toBeNull();
  });
});
