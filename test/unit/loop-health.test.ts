import { expect, test } from 'vitest';
import type { PassResult } from '../../controller/src/loop-events.ts';
import { LoopWatch } from '../../controller/src/loop-health.ts';
import { FakeClock } from '../support/fake-clock.ts';

function watching() {
  const clock = new FakeClock();
  const watch = new LoopWatch(clock);
  const passed = (tookMs: number, result: PassResult = 'success'): void => {
    watch.hear({ type: 'pass-ended', key: 'alice', result, tookMs });
  };
  return { clock, watch, passed };
}

test('a loop that has done nothing tells zeros, not nothing', () => {
  expect(watching().watch.health()).toEqual({
    passes: { count: 0, failed: 0, p50Ms: 0, p99Ms: 0 },
    lastResyncTookMs: null,
  });
});

test('passes of the last minute count, older ones do not', async () => {
  const { clock, watch, passed } = watching();
  passed(1);
  await clock.advance(30_000);
  passed(1, 'error');
  expect(watch.health().passes).toMatchObject({ count: 2, failed: 1 });
  await clock.advance(30_000);
  expect(watch.health().passes).toMatchObject({ count: 1, failed: 1 });
  await clock.advance(60_000);
  expect(watch.health().passes).toMatchObject({ count: 0, failed: 0 });
});

test('the percentiles are of the passes, to within a step of 19 %', () => {
  const { watch, passed } = watching();
  for (let i = 0; i < 98; i += 1) passed(2);
  passed(500);
  passed(500);
  const { p50Ms, p99Ms } = watch.health().passes;
  expect(p50Ms).toBeGreaterThanOrEqual(2);
  expect(p50Ms).toBeLessThan(2 * 1.2);
  expect(p99Ms).toBeGreaterThanOrEqual(500);
  expect(p99Ms).toBeLessThan(500 * 1.2);
});

test('a pass that took longer than is told apart counts as the longest', () => {
  const { watch, passed } = watching();
  passed(3_600_000);
  expect(watch.health().passes.p50Ms).toBeGreaterThan(60_000);
});

test('the last resync tells how long it took', () => {
  const { watch } = watching();
  watch.hear({ type: 'resynced', tookMs: 42, users: new Set() });
  expect(watch.health().lastResyncTookMs).toBe(42);
});
