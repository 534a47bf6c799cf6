import { pino } from 'pino';
import { expect, it } from 'vitest';
import { EngineError } from '#shared/faults.ts';
import { Leftovers } from '../../gateway/src/exec/leftovers.ts';
import { FakeClock } from '../support/fake-clock.ts';

const log = pino({ level: 'silent' });
const fault = (kind: 'unreachable' | 'failed', status: number | null): EngineError =>
  new EngineError({ operation: 'hang-up', kind, status, message: 'not now' });

function world(count: number, tryOnce: (session: string) => Promise<void>) {
  const clock = new FakeClock();
  const leftovers = new Leftovers(clock, log);
  const all = Array.from({ length: count }, (_, i) => ({ containerId: 'c', session: `s${i}` }));
  const isFree = (session: string): boolean => {
    try {
      leftovers.mustBeNone({ containerId: 'c', session });
      return true;
    } catch {
      return false;
    }
  };
  return { clock, isFree, endAll: () => Promise.all(all.map((of) => leftovers.end(of, () => tryOnce(of.session)))) };
}

it('what a hundred terminals left is tried again by one loop until the engine answers, and no timer is left', async () => {
  let isUp = false;
  const { clock, isFree, endAll } = world(100, async () => {
    if (!isUp) throw fault('unreachable', null);
  });
  await endAll();
  expect(clock.pending).toBe(1);
  await clock.advance(60_000);
  expect(isFree('s7')).toBe(false);
  expect(clock.pending).toBe(1);
  isUp = true;
  await clock.advance(5_000);
  expect(isFree('s7')).toBe(true);
  expect(clock.pending).toBe(0);
});

it('an engine that refuses one of them all the time does not block its session for long, nor the others', async () => {
  const { clock, isFree, endAll } = world(2, async (session) => {
    if (session === 's0') throw fault('failed', 500);
    if (clock.monotonicMs() < 2_000) throw fault('unreachable', null);
  });
  await endAll();
  await clock.advance(3_000);
  expect([isFree('s0'), isFree('s1')]).toEqual([false, true]);
  await clock.advance(20_000);
  expect(isFree('s0')).toBe(true);
  expect(clock.pending).toBe(0);
});
