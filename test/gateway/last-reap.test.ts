import { describe, expect, test } from 'vitest';
import { UserName } from '#shared/identity.ts';
import { type BoxPast, DrainCause } from '#shared/status.ts';
import { lastReapNotice, ReapNews } from '../../gateway/src/last-reap.ts';

const hourMs = 3_600_000;
const now = Date.UTC(2026, 5, 1, 12);

/** Of a box that has just become ready. */
function past(lastReap: BoxPast['lastReap'], readyAt: number | null = now - 1_000): BoxPast {
  return { lastReap, readyAt };
}

function reaped(cause: DrainCause, agoMs = 2 * hourMs): NonNullable<BoxPast['lastReap']> {
  return { cause, at: now - agoMs, message: '' };
}

describe('what is said of the box before this one', () => {
  test('what happened, when, why, and what survived', () => {
    expect(lastReapNotice(past(reaped('idle')), now)).toBe(
      'the box before this one was reaped because nobody needed it any more, 2 h ago (10:00:00 UTC); only the home survived',
    );
    expect(lastReapNotice(past(reaped('reap', 30 * hourMs)), now)).toBe(
      'the box before this one was reaped by an operator, 1 d 6 h ago (2026-05-31 06:00:00 UTC); only the home survived',
    );
  });

  test('that it gave way to others', () => {
    expect(lastReapNotice(past(reaped('gave-way')), now)).toBe(
      "the box before this one was idle and gave way to others' who waited for one, 2 h ago (10:00:00 UTC); only the home survived",
    );
  });

  test('every cause that loses a box is told, one that does not is not', () => {
    const told = DrainCause.options.filter((cause) => lastReapNotice(past(reaped(cause)), now));
    expect(told).toEqual(['idle', 'gave-way', 'reap', 'recreate', 'deleted', 'adopt', 'rollout']);
  });

  test('nothing where there was none, and nothing of a box that has long been there', () => {
    expect(lastReapNotice(past(null), now)).toBeNull();
    const long = reaped('idle', 99 * hourMs);
    expect(lastReapNotice(past(long, now - 25 * hourMs), now)).toBeNull();
    expect(lastReapNotice(past(long, null), now)).not.toBeNull();
  });

  test('each reap is told once to each user', () => {
    const [alice, bob] = [UserName.parse('alice'), UserName.parse('bob')];
    const news = new ReapNews();
    const first = past(reaped('idle'));
    expect(news.next(alice, first, now)).not.toBeNull();
    expect(news.next(alice, first, now)).toBeNull();
    expect(news.next(bob, first, now)).not.toBeNull();
    expect(news.next(alice, past(reaped('idle', hourMs)), now)).not.toBeNull();
  });
});
