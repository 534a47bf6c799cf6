import { beforeEach, describe, expect, test } from 'vitest';
import type { ServerMessage } from '#shared/terminal-protocol.ts';
import { IdleWarning } from '../../gateway/src/idle-warning.ts';
import { FakeClock } from '../support/fake-clock.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** Redis' clock has nothing to do with this process's. */
const redisEpoch = 1_700_000_000_000;

let clock: FakeClock;
let told: string[];

function warningFor(attachedIdleMs: number): IdleWarning {
  const tell = (message: ServerMessage): void => {
    if (message.type === 'warning') told.push(`${message.code} ${message.inMs}`);
    if (message.type === 'notice') told.push(message.code);
  };
  return new IdleWarning({ clock, attachedIdleMs, tell });
}

function renewal(leftMs: number): { now: number; wantedUntil: number } {
  const now = redisEpoch + clock.monotonicMs();
  return { now, wantedUntil: now + leftMs };
}

beforeEach(() => {
  clock = new FakeClock();
  told = [];
});

describe('an idle warning', () => {
  test('comes five minutes before the end, and at the last one', async () => {
    const warning = warningFor(8 * hourMs);
    warning.renewed(renewal(8 * hourMs));
    await clock.advance(8 * hourMs - 5 * minuteMs - 1);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual(['idle-soon 300000']);
    await clock.advance(4 * minuteMs);
    expect(told).toEqual(['idle-soon 300000', 'idle-soon 60000']);
    await clock.advance(hourMs);
    expect(told).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });

  test('comes once, however many renewals say the same', async () => {
    const warning = warningFor(8 * hourMs);
    const end = redisEpoch + clock.monotonicMs() + 6 * minuteMs;
    for (let renewals = 0; renewals < 35; renewals += 1) {
      warning.renewed({ now: redisEpoch + clock.monotonicMs(), wantedUntil: end });
      expect(clock.pending).toBeLessThanOrEqual(1);
      await clock.advance(10_000);
    }
    expect(told).toEqual(['idle-soon 300000', 'idle-soon 60000']);
  });

  test('is taken back when the box is kept, and comes again before the next end', async () => {
    const warning = warningFor(8 * hourMs);
    warning.renewed(renewal(4 * minuteMs));
    warning.renewed(renewal(8 * hourMs));
    warning.renewed(renewal(8 * hourMs));
    expect(told).toEqual(['idle-soon 240000', 'kept']);
    await clock.advance(8 * hourMs - 5 * minuteMs);
    expect(told).toEqual(['idle-soon 240000', 'kept', 'idle-soon 300000']);
    warning.stop();
  });

  test('an end that moves only a little is not told as kept, but its last minute is told', async () => {
    const warning = warningFor(8 * hourMs);
    warning.renewed(renewal(30_000));
    warning.renewed(renewal(3 * minuteMs));
    await clock.advance(2 * minuteMs);
    expect(told).toEqual(['idle-soon 30000', 'idle-soon 60000']);
  });

  test('follows what Redis says last, also where the end came nearer', async () => {
    const warning = warningFor(8 * hourMs);
    warning.renewed(renewal(8 * hourMs));
    warning.renewed(renewal(10 * minuteMs));
    await clock.advance(5 * minuteMs);
    expect(told).toEqual(['idle-soon 300000']);
    warning.stop();
  });

  test('comes a quarter of a short idle time before, and then once', async () => {
    warningFor(2 * minuteMs).renewed(renewal(2 * minuteMs));
    await clock.advance(90_000);
    expect(told).toEqual(['idle-soon 30000']);
    await clock.advance(minuteMs);
    expect(told).toHaveLength(1);
  });

  test('an end that is past is told as now', () => {
    const warning = warningFor(8 * hourMs);
    warning.renewed(renewal(-5_000));
    expect(told).toEqual(['idle-soon 0']);
    expect(warning.current()?.message).toMatch(/reaped now.*press a key to keep the box/);
  });

  test('is there for whoever comes later, with the time that is left then', async () => {
    const warning = warningFor(8 * hourMs);
    expect(warning.current()).toBeNull();
    warning.renewed(renewal(hourMs));
    expect(warning.current()).toBeNull();
    await clock.advance(57 * minuteMs);
    expect(warning.current()).toMatchObject({
      type: 'warning',
      inMs: 180_000,
      message: expect.stringContaining('reaped in 3 min'),
    });
    warning.stop();
    expect(warning.current()).toBeNull();
  });

  test('stops with its session, and leaves no timer', async () => {
    const warning = warningFor(8 * hourMs);
    warning.renewed(renewal(8 * hourMs));
    warning.stop();
    expect(clock.pending).toBe(0);
    await clock.advance(9 * hourMs);
    expect(told).toEqual([]);
  });
});
