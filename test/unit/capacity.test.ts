import { beforeEach, describe, expect, test } from 'vitest';
import type { Limits } from '#shared/config.ts';
import { UserName } from '#shared/identity.ts';
import { type LeaseKind, type LeasePriority, orderOf } from '#shared/lease.ts';
import type { LoopEvent } from '../../controller/src/loop-events.ts';
import { Capacity } from '../../controller/src/capacity/capacity.ts';
import type { Standing, Wish } from '../../controller/src/capacity/standing.ts';
import { now } from '../support/box-facts.ts';

const gib = 1024 ** 3;
const minute = 60_000;
const user = (name: string): UserName => UserName.parse(name);
const [alice, bob, carol, dave] = [user('alice'), user('bob'), user('carol'), user('dave')];

function held(changes: Partial<Standing> = {}): Standing {
  return { boxes: 1, memoryBytes: gib, state: 'held', idleSince: now, givesWayAt: null, waits: null, ...changes };
}
function idleSince(at: number, givesWayAt = at + minute): Standing {
  return held({ state: 'idle', idleSince: at, givesWayAt });
}
function waiting(order: number, memoryBytes = gib): Standing {
  return held({ boxes: 0, memoryBytes: 0, waits: { order, memoryBytes } });
}
const wish = (order: number, memoryBytes = gib): Wish => ({ order, memoryBytes });

let called: UserName[] = [];
let told: LoopEvent[] = [];
beforeEach(() => {
  called = [];
  told = [];
});

function capacityOf(limits: Partial<Limits>, known: readonly UserName[] = []): Capacity {
  const onCall = (of: UserName): void => void called.push(of);
  const onEvent = (event: LoopEvent): void => void told.push(event);
  const capacity = new Capacity({ limits: { boxes: null, memoryBytes: null, ...limits }, onCall, onEvent });
  capacity.listed(new Set(known));
  return capacity;
}

test('without a limit everybody is let in', () => {
  const capacity = capacityOf({});
  for (const name of ['a', 'b', 'c']) capacity.see(user(name), held(), now);
  expect(capacity.admission(alice, wish(now), now)).toEqual({ state: 'open' });
  expect(capacity.tryTake(alice, gib)).not.toBeNull();
});

test('two passes at once never take the last place, whichever was told that it is free', () => {
  const capacity = capacityOf({ boxes: 1 });
  expect(capacity.admission(bob, wish(now), now)).toEqual({ state: 'open' });
  expect(capacity.admission(alice, wish(now - 1), now)).toEqual({ state: 'open' });
  expect(capacity.tryTake(bob, gib)).not.toBeNull();
  expect(capacity.tryTake(alice, gib)).toBeNull();
});

test('a place is free again when its commit was refused', () => {
  const capacity = capacityOf({ boxes: 1 });
  capacity.tryTake(bob, gib)?.giveBack();
  expect(capacity.admission(alice, wish(now), now)).toEqual({ state: 'open' });
});

test('whoever gets a place is counted at once, and does not wait any more; the same when it was not given after all', () => {
  const capacity = capacityOf({ boxes: 1 });
  capacity.see(alice, waiting(now), now);
  const place = capacity.tryTake(alice, gib);
  expect(told.at(-1)).toEqual({ type: 'capacity', boxes: 1, memoryBytes: gib, waiting: 0 });
  place?.giveBack();
  expect(told.at(-1)).toEqual({ type: 'capacity', boxes: 0, memoryBytes: 0, waiting: 1 });
});

test('a new leader lets nobody in before everybody who is known had a pass, and then tells who waits', () => {
  const capacity = capacityOf({ boxes: 1 }, [alice, bob]);
  capacity.see(alice, waiting(now), now);
  expect(capacity.admission(alice, wish(now), now)).toMatchObject({ state: 'waits', position: 0 });
  expect(called).toEqual([]);
  capacity.see(bob, null, now);
  expect(called).toContain(alice);
  expect(capacity.admission(alice, wish(now), now)).toEqual({ state: 'open' });
});

test('of a user of whom nothing is known any more, a pass finds out whether a box is there still', () => {
  const capacity = capacityOf({ boxes: 1 }, [alice]);
  capacity.see(alice, held(), now);
  capacity.listed(new Set([bob]));
  expect(called).toEqual([alice]);
  expect(capacity.admission(bob, wish(now), now)).toMatchObject({ state: 'waits' });
});

describe('the line', () => {
  test('is strict: a small one does not pass a large one that does not fit yet', () => {
    const capacity = capacityOf({ memoryBytes: 4 * gib });
    capacity.see(alice, held({ memoryBytes: 2 * gib }), now);
    capacity.see(bob, waiting(now, 3 * gib), now);
    expect(capacity.admission(carol, wish(now + 1), now)).toMatchObject({ state: 'waits', position: 2, waiting: 2 });
    expect(capacity.admission(carol, wish(now - 1), now)).toEqual({ state: 'open' });
  });

  test('tells those who move up, and calls the first where there is a place', () => {
    const capacity = capacityOf({ boxes: 1 });
    capacity.see(alice, held(), now);
    capacity.see(bob, waiting(now), now);
    capacity.see(carol, waiting(now + 1), now);
    called = [];
    capacity.see(alice, null, now);
    expect(called).toEqual([bob]);
    capacity.tryTake(bob, gib);
    expect(called).toEqual([bob, carol]);
  });

  test('passes over whoever was called and does not come, until it does', () => {
    const capacity = capacityOf({ boxes: 1 });
    capacity.see(bob, waiting(now), now);
    const later = now + 11_000;
    expect(capacity.admission(carol, wish(now + 1), now)).toMatchObject({ state: 'waits' });
    expect(capacity.admission(carol, wish(now + 1), later)).toEqual({ state: 'open' });
    capacity.see(bob, waiting(now), later);
    expect(capacity.admission(carol, wish(now + 1), later)).toMatchObject({ state: 'waits' });
  });

  test('finds room for the next where the first was called and does not come', () => {
    const capacity = capacityOf({ boxes: 1 });
    capacity.see(bob, waiting(now), now);
    capacity.see(alice, idleSince(now - minute, now + 60_000), now);
    capacity.see(carol, waiting(now + 1), now);
    expect(capacity.makesRoom(alice)).toBe(false);
    capacity.see(carol, waiting(now + 1), now + 60_000);
    expect(capacity.makesRoom(alice)).toBe(true);
  });

  test('looks the more seldom the longer it is', () => {
    const capacity = capacityOf({ boxes: 1 });
    capacity.see(alice, held(), now);
    for (let index = 0; index < 2_000; index += 1) capacity.see(user(`u${index}`), waiting(now + index), now);
    const lookMs = (order: number): unknown => {
      const admission = capacity.admission(bob, wish(order), now);
      return admission.state === 'waits' ? admission.lookMs : null;
    };
    expect([lookMs(now - 1), lookMs(now + 200), lookMs(now + 1_999)]).toEqual([5_000, 20_100, 60_000]);
  });

  test('lets nobody starve: who comes later by more than the head start stays behind', () => {
    const order = (kind: LeaseKind, priority: LeasePriority | undefined, takenAt: number): number =>
      orderOf({ kind, priority, takenAt });
    expect(order('terminal', undefined, now + 4 * minute)).toBeLessThan(order('job', undefined, now));
    expect(order('terminal', undefined, now + 6 * minute)).toBeGreaterThan(order('job', undefined, now));
    expect(order('job', 'high', now + 19 * minute)).toBeLessThan(order('job', 'low', now));
    expect(order('job', 'high', now + 21 * minute)).toBeGreaterThan(order('job', 'low', now));
  });
});

describe('idle boxes', () => {
  test('give way the longest idle first, and no more of them than people wait', () => {
    const capacity = capacityOf({ boxes: 3 });
    capacity.see(alice, idleSince(now - 5 * minute), now);
    capacity.see(bob, idleSince(now - 9 * minute), now);
    capacity.see(carol, idleSince(now - 7 * minute), now);
    expect([alice, bob, carol].filter((each) => capacity.makesRoom(each))).toEqual([]);
    capacity.see(dave, waiting(now), now);
    expect([alice, bob, carol].filter((each) => capacity.makesRoom(each))).toEqual([bob]);
    expect(called).toEqual([bob]);
    // What leaves already is not followed by another.
    capacity.see(bob, held({ state: 'leaving' }), now);
    expect([alice, bob, carol].filter((each) => capacity.makesRoom(each))).toEqual([]);
  });

  test('do not give way in vain, where all of them were not enough', () => {
    const capacity = capacityOf({ memoryBytes: 4 * gib });
    capacity.see(alice, held({ memoryBytes: 3 * gib }), now);
    capacity.see(bob, idleSince(now - 9 * minute), now);
    capacity.see(dave, waiting(now, 2 * gib), now);
    expect(capacity.makesRoom(bob)).toBe(false);
  });

  test('that may not go yet are looked at by the first in line when they may', () => {
    const capacity = capacityOf({ boxes: 1 });
    capacity.see(alice, idleSince(now - minute, now + 2_000), now);
    capacity.see(bob, waiting(now), now);
    expect(capacity.makesRoom(alice)).toBe(false);
    expect(capacity.admission(bob, wish(now), now)).toMatchObject({ lookMs: 2_000 });
    capacity.see(bob, waiting(now), now + 2_000);
    expect(capacity.makesRoom(alice)).toBe(true);
  });

  test('where more are there than may be, go only for people who wait, and not in vain', () => {
    const capacity = capacityOf({ boxes: 2 });
    for (const each of [alice, bob, carol]) capacity.see(each, idleSince(now - 9 * minute), now);
    const going = (): UserName[] => [alice, bob, carol].filter((each) => capacity.makesRoom(each));
    expect(going()).toEqual([]);
    capacity.see(alice, held(), now);
    capacity.see(bob, held(), now);
    capacity.see(dave, waiting(now), now);
    expect(going()).toEqual([]);
    capacity.see(bob, idleSince(now - 9 * minute), now);
    expect(going()).toEqual([bob, carol]);
  });
});
