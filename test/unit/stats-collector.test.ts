import { expect, test } from 'vitest';
import { EngineError, type FaultKind } from '#shared/faults.ts';
import type { HomeUsage } from '#shared/home-usage.ts';
import { UserName } from '#shared/identity.ts';
import type { ContainerView } from '../../controller/src/box/observed.ts';
import { StatsCollector, statsLimits } from '../../controller/src/stats/collector.ts';
import { alice, boxClass, containerOf, foreignOf, installation } from '../support/box-facts.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { fakeRuntime } from '../support/fake-runtime.ts';

const bob = UserName.parse('bob');

/** An engine on which every container runs half a processor. */
function worldOf() {
  const clock = new FakeClock();
  const { signal } = new AbortController();
  const world = {
    clock,
    lists: 0,
    /** every reading, by container */
    reads: [] as string[],
    atOnce: 0,
    mostAtOnce: 0,
    containers: [containerOf()] as ContainerView[],
    fails: null as FaultKind | null,
    /** null = every container's reading */
    failsOnly: null as string | null,
    startedAtMs: 0,
    homes: [] as HomeUsage[],
    homesAsked: [] as UserName[][],
  };
  const runtime = fakeRuntime({
    list: async () => {
      world.lists += 1;
      return world.containers;
    },
    stats: async (id) => {
      world.reads.push(id);
      world.atOnce += 1;
      world.mostAtOnce = Math.max(world.mostAtOnce, world.atOnce);
      await Promise.resolve();
      world.atOnce -= 1;
      if (world.fails !== null && (world.failsOnly ?? id) === id)
        throw new EngineError({ kind: world.fails, operation: 'stats', status: null, message: 'no' });
      const readAtMs = clock.monotonicMs();
      const cpuNs = (readAtMs - world.startedAtMs) * 1e6 * 0.5;
      return { readAtMs, cpuNs, memoryBytes: 1_000, memoryLimitBytes: 2_000, pids: 3 };
    },
  });
  const homes = {
    all: async () => world.homes,
    of: async (user: UserName) => world.homes.find((home) => home.user === user) ?? null,
    asked: (boxes: readonly { user: UserName }[]) => void world.homesAsked.push(boxes.map(({ user }) => user)),
  };
  const classes = new Map([['default', { ...boxClass, home: { quota: 5_000 } }]]);
  const collector = new StatsCollector({ runtime: () => runtime, homes, classes, installation, clock, signal });
  return { world, collector };
}

test('the first look has no processors to tell, the next one has', async () => {
  const { world, collector } = worldOf();
  const rest = { user: alice, cpusLimit: 1, memoryBytes: 1_000, memoryLimitBytes: 2_000, pids: 3, home: null };
  expect(await collector.all()).toEqual([{ ...rest, cpus: null }]);
  await world.clock.advance(statsLimits.everyMs);
  expect(await collector.all()).toEqual([{ ...rest, cpus: 0.5 }]);
});

test('what is known of a home is told at once, with its quota, and a look at it is asked for', async () => {
  const { world, collector } = worldOf();
  const measured = { usedBytes: 4_096, isWhole: true, measuredAt: 7, problem: '' };
  world.homes = [{ user: alice, class: 'default', ...measured }];
  const told = { user: alice, home: { ...measured, quotaBytes: 5_000 } };
  expect(await collector.all()).toMatchObject([told]);
  expect(await collector.of(alice)).toMatchObject(told);
  expect(await collector.of(bob)).toBeNull();
  expect(world.homesAsked).toEqual([[alice], [alice]]);
});

test('everybody who asks within two seconds shares one reading', async () => {
  const { world, collector } = worldOf();
  await Promise.all([collector.all(), collector.of(alice), collector.all()]);
  await world.clock.advance(statsLimits.everyMs - 1);
  await collector.of(alice);
  expect([world.lists, world.reads]).toEqual([1, ['box-1']]);
  await world.clock.advance(1);
  await collector.of(alice);
  expect([world.lists, world.reads]).toEqual([2, ['box-1', 'box-1']]);
});

test('nothing is read when nobody asks any more, and an old reading is nothing to compare with', async () => {
  const { world, collector } = worldOf();
  await collector.all();
  expect(world.clock.pending).toBe(0);
  await world.clock.advance(statsLimits.forgottenAfterMs + 1);
  expect(world.reads).toHaveLength(1);
  expect(await collector.all()).toMatchObject([{ cpus: null }]);
});

test('a box that was started anew counts from zero', async () => {
  const { world, collector } = worldOf();
  await world.clock.advance(60_000);
  await collector.all();
  await world.clock.advance(statsLimits.everyMs);
  world.startedAtMs = world.clock.monotonicMs() - 10;
  expect(await collector.all()).toMatchObject([{ cpus: null }]);
});

test('only boxes of ours that run are read, and no more at once than the limit', async () => {
  const { world, collector } = worldOf();
  const many = Array.from({ length: 30 }, (_none, n) =>
    containerOf({ id: `b${n}`, user: `u${n}`, name: `spoon-box-u${n}` }),
  );
  const exited = containerOf({ id: 'off', user: 'off', name: 'spoon-box-off', state: 'exited' });
  world.containers = [...many, exited, foreignOf({ name: 'spoon-box-bob' })];
  expect(await collector.all()).toHaveLength(30);
  expect(world.mostAtOnce).toBe(statsLimits.readsAtOnce);
  expect(await collector.of(bob)).toBe(null);
  expect(world.reads).not.toContain('off');
});

test('a box that ended since the list is left out; an engine that does not answer is told', async () => {
  const { world, collector } = worldOf();
  world.fails = 'conflict';
  expect(await collector.all()).toEqual([]);
  world.fails = 'unreachable';
  await expect(collector.all()).rejects.toThrow('stats: no');
  world.fails = null;
  expect(await collector.all()).toMatchObject([{ user: 'alice' }]);
});

test.each(['failed', 'timeout'] as const)('one box whose reading ends as %s hides no other', async (kind) => {
  const { world, collector } = worldOf();
  world.containers = [containerOf(), containerOf({ id: 'box-2', user: 'bob', name: 'spoon-box-bob' })];
  world.fails = kind;
  world.failsOnly = 'box-1';
  expect(await collector.all()).toMatchObject([{ user: bob }]);
  await expect(collector.of(alice)).rejects.toThrow('stats: no');
  world.fails = null;
  expect(await collector.all()).toMatchObject([{ user: alice }, { user: bob }]);
});
