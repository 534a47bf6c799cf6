import { expect, test } from 'vitest';
import { Pacer } from '../../controller/src/reconcile/pacer.ts';
import { FakeClock } from '../support/fake-clock.ts';

function takeAll(pacer: Pacer): number {
  let taken = 0;
  while (pacer.tryTake() !== null) {
    taken += 1;
    if (taken > 1_000) throw new Error('the pacer never says no');
  }
  return taken;
}

test('a minute has room for five idle reaps, however few boxes run', async () => {
  const clock = new FakeClock();
  const pacer = new Pacer(clock);
  expect(takeAll(pacer)).toBe(5);
  pacer.observe(24);
  expect(pacer.tryTake()).toBeNull();
  expect(pacer.waitMs()).toBe(60_000);
  await clock.advance(59_999);
  expect(pacer.waitMs()).toBe(1);
  await clock.advance(1);
  expect(pacer.waitMs()).toBe(0);
  expect(takeAll(pacer)).toBe(5);
});

test('or for a fifth of the boxes that run', async () => {
  const clock = new FakeClock();
  const pacer = new Pacer(clock);
  pacer.observe(1_000);
  expect(takeAll(pacer)).toBe(200);
  await clock.advance(30_000);
  pacer.observe(800); // fewer run now, so fewer may go
  expect(pacer.waitMs()).toBe(30_000);
  await clock.advance(30_000);
  expect(takeAll(pacer)).toBe(160);
});

test('a place that was given back after its time is gone changes nothing', async () => {
  const clock = new FakeClock();
  const pacer = new Pacer(clock);
  const place = pacer.tryTake();
  await clock.advance(60_000);
  takeAll(pacer);
  place?.giveBack();
  expect(takeAll(pacer)).toBe(0);
});

test('a place that was given back can be taken again, once', () => {
  const pacer = new Pacer(new FakeClock());
  const place = pacer.tryTake();
  takeAll(pacer);
  place?.giveBack();
  expect(pacer.waitMs()).toBe(0);
  expect(takeAll(pacer)).toBe(1);
});
