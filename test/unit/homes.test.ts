import { expect, test } from 'vitest';
import { EngineError, type FaultKind } from '#shared/faults.ts';
import type { HomeUsage } from '#shared/home-usage.ts';
import { UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import type { ReconcilerMode } from '#shared/operator-schemas.ts';
import type { ContainerView } from '../../controller/src/box/observed.ts';
import { firstAfterMs, hourMs, measureHourly, roundEveryMs } from '../../controller/src/homes/hourly.ts';
import { askedEveryMs, HomeMeter, type MeteredBox } from '../../controller/src/homes/meter.ts';
import { presentHomes } from '../../controller/src/homes/present.ts';
import { homeTotals, overQuota } from '../../controller/src/homes/totals.ts';
import type { HomeLook } from '../../controller/src/store/home-store.ts';
import { alice, boxClass, containerOf, foreignOf, installation, spec } from '../support/box-facts.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { fakeRuntime } from '../support/fake-runtime.ts';

const bob = UserName.parse('bob');
const log = createLogger({ name: 'homes-test', level: 'silent' });

function boxOf(user: UserName, changes: Partial<ContainerView> = {}): ContainerView {
  return containerOf({ id: `box-of-${user}`, name: `spoon-box-${user}`, user, ...changes });
}

function worldOf() {
  const clock = new FakeClock();
  const ending = new AbortController();
  const world = {
    ...{ clock, ending },
    mode: 'run' as ReconcilerMode,
    containers: [boxOf(alice), boxOf(bob)] as ContainerView[],
    /** looks at homes, by container and path */
    looks: [] as string[],
    atOnce: 0,
    mostAtOnce: 0,
    fails: null as FaultKind | null,
    redisFails: false,
    /** every question to Redis whether a look is due */
    dueAsked: [] as [UserName, number][],
    isDue: true,
    put: [] as [UserName, string, HomeLook][],
    known: [] as HomeUsage[],
    told: 0,
    waits: Promise.resolve(),
    redisWaits: Promise.resolve(),
  };
  const runtime = fakeRuntime({
    list: async () => world.containers,
    homeUse: async (id, target) => {
      world.looks.push(`${id}:${target}`);
      world.atOnce += 1;
      world.mostAtOnce = Math.max(world.mostAtOnce, world.atOnce);
      await world.waits;
      world.atOnce -= 1;
      if (world.fails !== null)
        throw new EngineError({ kind: world.fails, operation: 'homeUse', status: null, message: 'no du' });
      return { usedBytes: 4_096, isWhole: true };
    },
  });
  const store = {
    beginLook: async (user: UserName, everyMs: number) => {
      if (world.redisFails) throw new Error('Redis is away');
      world.dueAsked.push([user, everyMs]);
      return world.isDue;
    },
    put: async (...put: [UserName, string, HomeLook]) => void world.put.push(put),
  };
  const meter = new HomeMeter({ runtime: () => runtime, store, clock, log, signal: ending.signal });
  const hourly = () =>
    measureHourly(
      {
        ...{ runtime, meter, installation, clock, log },
        store: { mode: async () => ({ now: 0, mode: { mode: world.mode, reason: '', by: '', since: 0 } }) },
        homes: {
          all: async () => {
            await world.redisWaits;
            return world.known;
          },
        },
        onKnown: () => {
          world.told += 1;
        },
      },
      ending.signal,
    );
  return { world, meter, hourly };
}

const asked = (...views: ContainerView[]): MeteredBox[] =>
  views.map((container) => ({ user: UserName.parse(container.user), container }));

test('a home is looked at from inside its box, and what it takes up is kept with the class of the box', async () => {
  const { world, meter } = worldOf();
  await meter.look(asked(boxOf(alice)), askedEveryMs);
  expect(world.looks).toEqual([`box-of-alice:${spec.homeTarget}`]);
  expect(world.dueAsked).toEqual([[alice, askedEveryMs]]);
  expect(world.put).toEqual([[alice, spec.class, { usedBytes: 4_096, isWhole: true }]]);
});

test('one home is looked at at a time, and once however many ask', async () => {
  const { world, meter } = worldOf();
  await Promise.all([1, 2, 3].map(() => meter.look(asked(boxOf(alice), boxOf(bob)), askedEveryMs)));
  expect(world.mostAtOnce).toBe(1);
  expect(world.looks).toHaveLength(2);
});

test('a home that was looked at lately is not looked at, and Redis is not asked about it all the time', async () => {
  const { world, meter } = worldOf();
  world.isDue = false;
  for (let second = 0; second < 61; second += 2) {
    await meter.look(asked(boxOf(alice)), askedEveryMs);
    await world.clock.advance(2_000);
  }
  expect(world.looks).toEqual([]);
  expect(world.dueAsked).toHaveLength(2);
});

test('who asks is not kept waiting because the hourly look found nothing due', async () => {
  const { world, meter } = worldOf();
  world.isDue = false;
  for (const everyMs of [hourMs, askedEveryMs, hourMs]) await meter.look(asked(boxOf(alice)), everyMs);
  expect(world.dueAsked.map(([, everyMs]) => everyMs)).toEqual([hourMs, askedEveryMs]);
});

test('a box that does not run, or says not where its home is, is left alone', async () => {
  const { world, meter } = worldOf();
  await meter.look(asked(boxOf(alice, { state: 'paused' }), boxOf(bob, { spec: null })), askedEveryMs);
  expect([world.looks, world.dueAsked]).toEqual([[], []]);
});

test.each(['failed', 'timeout'] as const)('a look that ended as %s is kept as a problem', async (kind) => {
  const { world, meter } = worldOf();
  world.fails = kind;
  await meter.look(asked(boxOf(alice)), askedEveryMs);
  expect(world.put).toEqual([[alice, spec.class, { problem: 'no du' }]]);
});

test.each(['not-found', 'conflict', 'unreachable'] as const)(
  'of a box that cannot be asked any more (%s) nothing is kept',
  async (kind) => {
    const { world, meter } = worldOf();
    world.fails = kind;
    await meter.look(asked(boxOf(alice)), askedEveryMs);
    expect(world.put).toEqual([]);
  },
);

test('a Redis that does not answer stops no other look', async () => {
  const { world, meter } = worldOf();
  world.redisFails = true;
  await meter.look(asked(boxOf(alice)), askedEveryMs);
  world.redisFails = false;
  await meter.look(asked(boxOf(bob)), askedEveryMs);
  expect(world.put.map(([user]) => user)).toEqual([bob]);
});

test('the homes of all boxes that run are looked at hourly, not at once when a term begins', async () => {
  const { world, hourly } = worldOf();
  world.containers.push(foreignOf({ name: 'spoon-box-carl' }));
  const running = hourly();
  await world.clock.advance(firstAfterMs - 1);
  expect(world.dueAsked).toEqual([]);
  await world.clock.advance(1);
  expect(world.dueAsked).toEqual([
    [alice, hourMs],
    [bob, hourMs],
  ]);
  expect(world.told).toBe(2);
  await world.clock.advance(roundEveryMs);
  expect(world.dueAsked).toHaveLength(4);
  world.ending.abort();
  await running;
  expect(world.clock.pending).toBe(0);
});

test('a term ends at once, also in the middle of a look', async () => {
  const { world, hourly } = worldOf();
  const slow = Promise.withResolvers<void>();
  world.waits = slow.promise;
  const running = hourly();
  await world.clock.advance(firstAfterMs);
  expect(world.looks).toHaveLength(1);
  world.ending.abort();
  await running;
  slow.resolve();
  await settled();
  expect(world.looks).toHaveLength(1);
});

test('a term that has ended tells nothing any more, also where it had asked before', async () => {
  const { world, hourly } = worldOf();
  const slow = Promise.withResolvers<void>();
  world.redisWaits = slow.promise;
  const running = hourly();
  await world.clock.advance(firstAfterMs);
  world.ending.abort();
  slow.resolve();
  await running;
  await settled();
  expect(world.told).toBe(0);
});

test('under a pause no box is looked into, and what is known is told', async () => {
  const { world, hourly } = worldOf();
  world.mode = 'pause';
  const running = hourly();
  await world.clock.advance(firstAfterMs);
  expect([world.looks, world.told]).toEqual([[], 1]);
  world.ending.abort();
  await running;
});

test('totals count what was measured, and a home is over its quota by a byte', () => {
  const home = (user: string, usedBytes: number | null, className = 'default'): HomeUsage => {
    return { user: UserName.parse(user), class: className, usedBytes, isWhole: true, measuredAt: 1, problem: '' };
  };
  const classes = new Map([
    ['default', { ...boxClass, home: { quota: 5_000 } }],
    ['free', boxClass],
  ]);
  const homes = [home('a', 5_000), home('b', 5_001), home('c', null), home('d', 9_000, 'free'), home('e', 7_000)];
  homes.push(home('f', 8_000, 'gone'));
  expect(homeTotals(homes, classes)).toEqual({ measured: 5, usedBytes: 34_001, largestBytes: 9_000, overQuota: 2 });
  expect(overQuota(homes, classes).map(({ user }) => user)).toEqual(['e', 'b']);
  expect(homeTotals([], classes)).toEqual({ measured: 0, usedBytes: 0, largestBytes: 0, overQuota: 0 });
});

test('a home that was taken away is not counted, and all are where nobody can tell', async () => {
  const home = (user: UserName): HomeUsage => {
    return { user, class: 'default', usedBytes: 1, isWhole: true, measuredAt: 1, problem: '' };
  };
  const store = { all: async () => [home(alice), home(bob)] };
  const users = async (names: () => Promise<string[]>): Promise<string[]> =>
    (await presentHomes(store, { path: '/homes', names }).all()).map(({ user }) => user);
  expect(await users(async () => ['bob', 'carl'])).toEqual(['bob']);
  expect(await users(() => Promise.reject(new Error('EACCES')))).toEqual([alice, 'bob']);
});
