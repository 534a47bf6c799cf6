import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { sleep } from '#shared/clock.ts';
import { UserName } from '#shared/identity.ts';
import { type Found, lookAfterEnd } from '../../gateway/src/autopsy.ts';
import type { ProcessState } from '../../gateway/src/exec/port.ts';
import { FakeClock } from '../support/fake-clock.ts';

const log = pino({ level: 'silent' });
const signal = new AbortController().signal;

/** What is found of a terminal that answers so, `afterMs` after its end. Redis says nothing of the box. */
async function found(
  stateAt: (afterMs: number, clock: FakeClock) => ProcessState | Promise<ProcessState>,
): Promise<{ found: Found | null; afterMs: number }> {
  const clock = new FakeClock();
  const startedAt = clock.monotonicMs();
  const afterMs = (): number => clock.monotonicMs() - startedAt;
  let result: Found | null = null;
  const looking = lookAfterEnd(
    {
      store: { read: () => Promise.reject(new Error('Redis does not answer')) },
      clock,
      limits: { autopsyMs: 5_000 },
      log,
    },
    {
      user: UserName.parse('alice'),
      containerId: 'c1',
      terminal: { state: async () => stateAt(afterMs(), clock), outlives: () => Promise.resolve(false) },
      lease: { check: () => Promise.resolve() },
    },
    signal,
  ).then((what) => {
    result = what;
  });
  await clock.advance(0);
  while (result === null && clock.nextInMs !== null) await clock.advance(clock.nextInMs);
  const tookMs = afterMs();
  await looking;
  return { found: result, afterMs: tookMs };
}

const ended = (exitCode: number, boxRuns: boolean): ProcessState => ({ running: false, exitCode, boxRuns });

describe('a terminal that has ended', () => {
  it.each([129, 137, 143])(
    'with %i while its box still seems to run is lost when the box ends, also 2 s later',
    async (code) => {
      expect((await found((afterMs) => ended(code, afterMs < 2_000))).found).toEqual({
        is: 'lost',
        why: 'the box has ended',
      });
    },
  );

  it.each([129, 137, 143])(
    'with %i in a box that runs on has ended by itself, or was killed by its user',
    async (code) => {
      expect((await found(() => ended(code, true))).found).toEqual({ is: 'exited', code });
    },
  );

  it.each([129, 137, 143])('with %i has ended by itself, however its last look is cut off', async (code) => {
    for (const takesMs of [1, 37, 60, 99, 250, 499, 900]) {
      const looked = await found((_afterMs, clock) => sleep(clock, takesMs, signal).then(() => ended(code, true)));
      expect(looked.found, `a look takes ${takesMs} ms`).toEqual({ is: 'exited', code });
      expect(looked.afterMs).toBeLessThanOrEqual(4_000);
    }
  });

  it('while the engine does not answer is looked at for as long once it does', async () => {
    const looked = await found((afterMs) => {
      if (afterMs < 2_900) throw new Error('the engine does not answer');
      return ended(137, afterMs < 3_500);
    });
    expect(looked.found).toEqual({ is: 'lost', why: 'the box has ended' });
  });

  it('under an engine that hangs is lost when its time is over', async () => {
    const hangs = new Promise<ProcessState>(() => {});
    const lost = { is: 'lost', why: 'the connection to the shell was lost' };
    expect(await found(() => hangs)).toMatchObject({ found: lost, afterMs: 5_100 });
    // The time of the first look that was answered counts, not how many were.
    const looked = await found((afterMs) => (afterMs < 1_000 ? ended(137, true) : hangs));
    expect(looked.found).toEqual(lost);
    expect(looked.afterMs).toBeLessThanOrEqual(3_200);
  });

  it('with an ordinary code in a box that runs is believed at the first look', async () => {
    expect(await found(() => ended(7, true))).toEqual({ found: { is: 'exited', code: 7 }, afterMs: 0 });
  });
});
