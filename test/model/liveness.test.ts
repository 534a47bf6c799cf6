import { describe, expect, test } from 'vitest';
import type { FaultKind } from '#shared/faults.ts';
import type { ContainerView } from '../../controller/src/box/observed.ts';
import { isLive } from '../../controller/src/box/ownership.ts';
import { containerOf, desiredOf, drainMode, foreignOf, pauseMode, runMode } from '../support/box-facts.ts';
import { type Mishap, TinyWorld } from '../support/tiny-world.ts';
import { brokenRules } from './invariants.ts';
import { boxes, contextOf, contexts, drifted, oneIn, product, values } from './worlds.ts';

/** Passes within which everything comes to its end once faults stop; the longest ways drain two containers first. */
const passesMax = 40;

const mishaps: readonly (Mishap | null)[] = [
  null,
  ...(['not-found', 'conflict', 'invalid', 'failed'] as const).map(refused),
  ...(['timeout', 'unreachable'] as const).flatMap((kind) => [refused(kind), { kind, hasEffect: true }]),
];
const extra = containerOf({ id: 'extra-1', name: 'another', state: 'running', createdAtS: 1_600_000_000 });
const foreign = foreignOf();
/** What an engine may hold for the user. */
const engines: readonly (readonly ContainerView[])[] = [
  ...boxes.map((box) => (box === null ? [] : [box])),
  [drifted],
  [containerOf(), extra],
  [containerOf({ state: 'exited' }), extra],
  [containerOf({ name: 'renamed-by-hand' })],
];

interface Options {
  readonly mishap: Mishap | null;
  /** how many passes in a row it happens in */
  readonly mishapPasses: number;
  /** before which pass the stored snapshot is lost; null = never */
  readonly lostBefore: number | null;
}
const smooth: Options = { mishap: null, mishapPasses: 0, lostBefore: null };

/** Runs until `isDone` or the limit, and checks every pass; answers the passes that it took, or null. */
function passesUntil(world: TinyWorld, isDone: () => boolean, options: Options = smooth): number | null {
  for (let pass = 0; pass < passesMax; pass += 1) {
    if (pass === options.lostBefore) world.stored = null;
    const { stored } = world;
    const given = { value: stored?.value ?? 'absent', context: stored?.context ?? contextOf({}), facts: world.facts() };
    const broken = brokenRules(given);
    if (broken.length > 0) throw new Error(`${broken.join('; ')} in ${JSON.stringify(given)}`);
    world.pass(pass < options.mishapPasses ? options.mishap : null);
    if (pass >= options.mishapPasses && pass >= (options.lostBefore ?? 0) && isDone()) return pass + 1;
  }
  return null;
}

/** Each start that does not reach its end, as a sentence. */
function expectAllReach(
  end: (world: TinyWorld) => boolean,
  prepare: (world: TinyWorld) => void,
  runs: readonly Options[],
): void {
  const stuck: string[] = [];
  let looked = 0;
  for (const [value, memory, containers, options] of oneIn(11, values, contexts, engines, runs)) {
    looked += 1;
    const world = new TinyWorld();
    world.containers = [...containers];
    world.stored = { value, context: contextOf(memory) };
    prepare(world);
    if (passesUntil(world, () => end(world), options) === null && stuck.length < 3) {
      stuck.push(
        JSON.stringify({ value, memory, containers: containers.map(({ state }) => state), options, now: world.stored }),
      );
    }
  }
  expect(stuck).toEqual([]);
  expect(looked).toBeGreaterThan(500);
}

function isReady(world: TinyWorld): boolean {
  const live = world.ours.filter(isLive);
  return (
    typeof world.stored?.value === 'object' &&
    'ready' in world.stored.value &&
    live.length === 1 &&
    world.ours.length === 1
  );
}

const everyMishap = mishaps.map((mishap) => ({ mishap, mishapPasses: 2, lostBefore: null }));

describe('from every state and world', () => {
  test('a box that somebody holds becomes ready once faults stop', () => {
    expectAllReach(isReady, () => {}, everyMishap);
  });

  test('a box that needs image and home first becomes ready, too', () => {
    const prepare = (world: TinyWorld): void => {
      world.containers = [];
      world.image = 'wanted';
      world.home = 'absent';
    };
    expectAllReach(isReady, prepare, everyMishap.slice(0, 5));
  });

  test('a box that nobody needs is gone with all of its containers', () => {
    const end = (world: TinyWorld): boolean => world.ours.length === 0 && world.stored?.value === 'absent';
    const prepare = (world: TinyWorld): void => {
      world.hasLease = false;
      world.lastActivityAt = 0;
    };
    expectAllReach(end, prepare, everyMishap);
  });

  test('a deleted user is forgotten', () => {
    const prepare = (world: TinyWorld): void => {
      world.hasLease = false;
      world.desired = desiredOf({ generation: 9, reapGeneration: 9, deletedAt: world.now });
    };
    expectAllReach((world) => world.isForgotten, prepare, everyMishap);
  });

  test('nothing happens under a pause, and a box that somebody holds becomes ready once it is over', () => {
    const touched: string[] = [];
    const prepare = (world: TinyWorld): void => {
      world.mode = pauseMode;
      const before = world.containers.map(({ id }) => id).join();
      for (let pass = 0; pass < 3; pass += 1) world.pass(null);
      if (world.commands.length > 0) touched.push(before);
      world.mode = runMode;
    };
    expectAllReach(isReady, prepare, everyMishap.slice(0, 4));
    expect(touched).toEqual([]);
  });

  test('no box is made under a drain, and one that somebody holds becomes ready once it is over', () => {
    const made: string[] = [];
    const prepare = (world: TinyWorld): void => {
      world.mode = drainMode;
      for (let pass = 0; pass < 12; pass += 1) world.pass(null);
      if (world.commands.some(({ type }) => type === 'create' || type === 'pull'))
        made.push(JSON.stringify(world.stored));
      world.mode = runMode;
    };
    expectAllReach(isReady, prepare, everyMishap.slice(0, 4));
    expect(made).toEqual([]);
  });

  test('losing what is remembered, before any pass, costs nothing but passes', () => {
    const runs = [0, 1, 2, 3, 5, 8].map((lostBefore) => ({ ...smooth, lostBefore }));
    expectAllReach(isReady, () => {}, runs);
  });
});

test('a box that is wanted and runs outlives every loss of what is remembered, and every fault', () => {
  const lost: string[] = [];
  for (const [hasLease, lostBefore, mishap] of product([true, false], [null, 0, 1, 2, 3, 4], mishaps)) {
    const world = new TinyWorld();
    world.hasLease = hasLease;
    world.containers = [containerOf()];
    passesUntil(world, () => false, { mishap, mishapPasses: 4, lostBefore });
    // Without a lease it is reaped in the end; what counts is that nothing happened to it before its time.
    const early = world.commands.filter(
      ({ type, at }) => type === 'stop' && (hasLease || at < world.lastActivityAt + 1_800_000),
    );
    if (early.length > 0 || (hasLease && !isReady(world))) lost.push(JSON.stringify({ hasLease, lostBefore, mishap }));
  }
  expect(lost).toEqual([]);
});

test('a running box without desired state is kept for its grace, and then goes', () => {
  const world = new TinyWorld();
  world.desired = null;
  world.hasLease = false;
  world.containers = [containerOf()];
  const begunAt = world.now;
  expect(passesUntil(world, () => world.containers.length === 0)).not.toBeNull();
  expect(world.commands.find(({ type }) => type === 'stop')?.at).toBeGreaterThanOrEqual(begunAt + 1_800_000);
});

describe('a container that is not ours under the name', () => {
  test('is never touched without consent, and is no hindrance once it is gone', () => {
    const world = new TinyWorld();
    world.containers = [foreign];
    for (let pass = 0; pass < passesMax; pass += 1) world.pass(null);
    expect(world.commands).toEqual([]);
    expect(world.stored?.value).toBe('failed');
    world.containers = [];
    expect(passesUntil(world, () => isReady(world))).toBeLessThanOrEqual(6);
  });

  test('is replaced once its last command ended, where an operator named it', () => {
    const world = new TinyWorld();
    world.containers = [foreign];
    world.desired = desiredOf({ adoptContainerId: foreign.id });
    world.foreignExecs = 1;
    const from = world.now;
    for (let pass = 0; pass < 5; pass += 1) world.pass(null);
    expect(world.commands).toEqual([]);
    expect(world.now - from).toBeLessThanOrEqual(30_000);
    world.foreignExecs = 0;
    expect(passesUntil(world, () => isReady(world))).not.toBeNull();
  });

  test('may be named by the short id that its message shows', () => {
    const world = new TinyWorld();
    const theirs = foreignOf({ id: '0123456789ab'.padEnd(64, 'c') });
    world.containers = [theirs];
    world.pass(null);
    const shown = /\(([0-9a-f]+)\)/.exec(world.stored?.context.message ?? '')?.[1] ?? '';
    world.desired = desiredOf({ adoptContainerId: shown.slice(0, -1) });
    for (let pass = 0; pass < passesMax; pass += 1) world.pass(null);
    expect(world.commands).toEqual([]);
    world.desired = desiredOf({ adoptContainerId: shown });
    world.foreignExecs = 0;
    for (let pass = 0; pass < passesMax && !isReady(world); pass += 1) world.pass(null);
    expect(isReady(world)).toBe(true);
  });

  test('does not keep a deleted user from being forgotten', () => {
    const world = new TinyWorld();
    world.containers = [foreign];
    world.hasLease = false;
    world.desired = desiredOf({ generation: 9, reapGeneration: 9, deletedAt: world.now });
    expect(passesUntil(world, () => world.isForgotten)).toBe(1);
    expect(world.containers).toEqual([foreign]);
  });
});

function refused(kind: FaultKind): Mishap {
  return { kind, hasEffect: false };
}
