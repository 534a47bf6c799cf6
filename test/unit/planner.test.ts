import { describe, expect, test } from 'vitest';
import type { BoxStore } from '#shared/box-store.ts';
import { EngineError } from '#shared/faults.ts';
import { UserName } from '#shared/identity.ts';
import type { BoxRecord } from '#shared/status.ts';
import { createPlanner, type Planner } from '../../controller/src/reconcile/planner.ts';
import type { PacerStats } from '../../controller/src/reconcile/pacer.ts';
import { standIn } from '../../controller/src/reconcile/stand-in.ts';
import type { ContainerView } from '../../controller/src/box/observed.ts';
import { alice, boxClass, containerOf, desiredOf, drainMode, foreignOf, installation } from '../support/box-facts.ts';
import { imageId, now, pauseMode } from '../support/box-facts.ts';
import { fakePort } from '../support/fake-port.ts';
import { fakeRuntime } from '../support/fake-runtime.ts';
import { PassWorld } from '../support/pass-world.ts';

const { signal } = new AbortController();
const engineFault = { kind: 'unreachable', operation: 'observe', status: null, message: 'connection refused' } as const;
const createFault = { kind: 'failed', operation: 'create', status: 500, message: 'no space left' } as const;

/** Each call that changes the engine, and succeeds. */
const engine = {
  create: async () => ({ id: 'box-1' }),
  start: async () => {},
  probe: async () => {},
  unpause: async () => {},
  rename: async () => {},
  remove: async () => {},
  ensureHome: async () => {},
  pull: () => new Promise<void>(() => {}),
  stop: () => new Promise<void>(() => {}),
};

function plannerOf(world: PassWorld): Planner {
  const store = fakePort<BoxStore>({ read: async () => world.record });
  const vantage = async () => ({
    sources: world.sources,
    stateOf: world.reconciler.stateOf.bind(world.reconciler),
    pacer: world.pacer.stats(),
  });
  return createPlanner({ store, vantage });
}

/** What a process that does not lead reads of the one that does. */
function leaderStoreOf({ trusted = true, holder = 'a:1', pacer = null as PacerStats | null } = {}) {
  const quiet = { waiting: 0, processing: 0, scheduled: 0, longestWaitMs: 0, amnesty: null };
  const passes = { count: 0, failed: 0, p50Ms: 0, p99Ms: 0 };
  const loop = pacer && { ...quiet, passes, lastResyncAgoMs: null, lastResyncTookMs: null, pacer };
  return { trusted: async () => trusted, report: async () => ({ now, holder, lastBeatAt: now, loop }) };
}

interface Story {
  readonly methods?: ConstructorParameters<typeof PassWorld>[0];
  readonly containers?: ContainerView[];
  readonly record?: Partial<BoxRecord>;
  /** passes before anybody asks */
  readonly passesBefore?: number;
  readonly before?: (world: PassWorld) => void;
}

const box = containerOf();
const unheld = { leases: [], wantedUntil: now };
/** A box that was found has been granted its time, which is over. */
const due = { ...unheld, now: now + 3_600_000 };
const stories: Readonly<Record<string, Story>> = {
  'nothing is there': {},
  'nothing is there, and the image is absent': { methods: { image: async () => ({ state: 'absent' }) } },
  'nothing is there, and no home': { methods: { home: async () => ({ state: 'absent' }) } },
  'a create has failed': {
    methods: { create: async () => Promise.reject(new EngineError(createFault)) },
    passesBefore: 1,
  },
  'it is made, and not started': { containers: [containerOf({ state: 'created' })] },
  'it runs, and was not tried out': { containers: [box] },
  'it was tried out': { containers: [box], passesBefore: 1 },
  'it is ready': { containers: [box], passesBefore: 2 },
  'it is ready, and nobody needs it': {
    containers: [box],
    passesBefore: 2,
    before: (world) => void Object.assign(world.record, unheld),
  },
  'it is due': { containers: [box], passesBefore: 2, before: (world) => void Object.assign(world.record, due) },
  'it is due, and the pacer is full': {
    containers: [box],
    passesBefore: 2,
    before: (world) => {
      Object.assign(world.record, due);
      while (world.pacer.tryTake() !== null);
    },
  },
  'it is being stopped': {
    containers: [box],
    passesBefore: 3,
    record: { ...unheld, desired: desiredOf({ generation: 9, reapGeneration: 9 }) },
  },
  'it died under its holder': {
    containers: [box],
    passesBefore: 2,
    before: (world) => {
      world.containers = [containerOf({ state: 'exited', exitCode: 1 })];
    },
  },
  'it is paused, and somebody needs it': { containers: [containerOf({ state: 'paused' })] },
  'it was renamed by hand': {
    containers: [box],
    passesBefore: 2,
    before: (world) => {
      world.containers = [containerOf({ name: 'renamed' })];
    },
  },
  'a second one runs': {
    containers: [box],
    passesBefore: 2,
    before: (world) => {
      world.containers = [box, containerOf({ id: 'box-2', name: 'second' })];
    },
  },
  'a foreign container has its name': { containers: [foreignOf()] },
  'the user was deleted': { record: { ...unheld, desired: desiredOf({ deletedAt: now, reapGeneration: 5 }) } },
  'the engine does not answer': { methods: { observe: async () => Promise.reject(new EngineError(engineFault)) } },
  'the installation is drained': { record: { mode: drainMode } },
  'the reconciler is paused': { containers: [containerOf({ state: 'created' })], record: { mode: pauseMode } },
};

describe('what a plan says is what the next pass does', () => {
  test.each(Object.entries(stories))('%s', async (_name, { methods, containers, record, passesBefore = 0, before }) => {
    const world = new PassWorld({ ...engine, ...methods });
    world.containers = containers ?? [];
    world.record = { ...world.record, ...record };
    for (let pass = 0; pass < passesBefore; pass += 1) await world.pass();
    before?.(world);
    const recordBefore = structuredClone(world.record);
    const commits = world.commits.length;
    world.log.length = 0;

    const plan = await plannerOf(world).plan(alice, signal);
    expect(await plannerOf(world).plan(alice, signal)).toEqual(plan);
    expect(world.log.filter((call) => !call.startsWith('observe') && call !== 'image' && call !== 'home')).toEqual([]);
    expect(world.record).toEqual(recordBefore);
    world.log.length = 0;

    const { requeueAfterMs } = await world.pass();
    const done = world.log.find((call) => Object.hasOwn(engine, call)) ?? 'none';
    const commit = world.commits[commits];
    const body = commit?.body ?? world.record.status;
    const command = commit?.intent.kind === 'forget' ? 'forget' : done.replace('ensureHome', 'ensure-home');
    expect(plan).toMatchObject({
      phase: recordBefore.status?.phase ?? 'absent',
      next: { phase: commit?.phase ?? recordBefore.status?.phase ?? 'absent', step: body?.step ?? null },
      command,
      nextLookMs: requeueAfterMs,
      ...(body === null ? {} : { message: body.message }),
    });
    expect(plan?.does === '').toBe(command === 'none');
    const edge = commit?.events[0]?.edge;
    if (edge !== undefined) expect(plan?.rule).toBe(edge.rule);
  });
});

test('asking is not waiting: who asks while an image is pulled is not told of its end', async () => {
  const ended: string[] = [];
  let endPull = (): void => {};
  const pull = () => new Promise<void>((resolve) => (endPull = resolve));
  const world = new PassWorld({ ...engine, pull, image: async () => ({ state: 'absent' }) });
  world.reconciler.ended = (user) => void ended.push(user);
  world.operations.pull(boxClass.image, UserName.parse('bob'));
  expect(await plannerOf(world).plan(alice, signal)).toMatchObject({ command: 'none', next: { step: 'pulling' } });
  endPull();
  await expect.poll(() => ended).toEqual(['bob']);
});

describe('of everybody', () => {
  const bob = UserName.parse('bob');
  const carol = UserName.parse('carol');
  const bobsBox = containerOf({ id: 'box-2', user: 'bob', name: 'spoon-box-bob' });
  const empty = { desired: null, leases: [], holds: [], wantedUntil: 0 };

  function worldOf(list: () => Promise<ContainerView[]>) {
    const looked: string[] = [];
    const { record } = new PassWorld();
    const runtime = fakeRuntime({
      list,
      observe: async (user) => {
        looked.push(user);
        return user === bob ? [bobsBox] : [];
      },
      image: async () => ({ state: 'present', id: imageId }),
      home: async () => ({ state: 'present', uid: 1000 }),
    });
    const store = fakePort<BoxStore>({
      users: async () => [carol, alice],
      read: async (user) => ({ ...record, user, ...(user === alice ? {} : empty) }),
    });
    const sources = { classes: new Map([['default', boxClass]]), installation, homesDir: '/srv/homes' };
    const vantage = () => standIn({ runtime, leaderStore: leaderStoreOf(), sources });
    return { planner: createPlanner({ store, vantage }), looked };
  }

  test('who is known, or has a box of ours, is told of by name; a box itself is looked at where something is to be done', async () => {
    const foreign = containerOf({ id: 'x', user: 'dave', name: 'spoon-box-dave', installation: 'another' });
    const { planner, looked } = worldOf(async () => [bobsBox, foreign]);
    const plans = await planner.planAll(signal);
    expect(plans.map(({ user, command }) => [user, command])).toEqual([
      ['alice', 'create'],
      ['bob', 'probe'],
    ]);
    expect(looked.toSorted()).toEqual(['alice', 'bob']);
  });

  test('an engine that does not answer is said of everybody who is known, and asked once', async () => {
    const { planner, looked } = worldOf(async () =>
      Promise.reject(new EngineError({ ...engineFault, operation: 'list' })),
    );
    const plans = await planner.planAll(signal);
    expect(plans.map(({ user, message }) => [user, message])).toEqual([
      ['alice', 'the container engine does not answer: list: connection refused'],
    ]);
    expect(looked).toEqual([]);
  });
});

describe('a process that does not lead answers as a new leader would', () => {
  const planOf = async (trusted: boolean, observe: () => Promise<ContainerView[]>) => {
    const world = new PassWorld();
    const runtime = fakeRuntime({
      observe,
      image: async () => ({ state: 'present', id: imageId }),
      home: async () => ({ state: 'present', uid: 1000 }),
    });
    const sources = { classes: world.classes, installation, homesDir: '/srv/homes' };
    const store = fakePort<BoxStore>({ read: async () => ({ ...world.record, ...unheld }) });
    const vantage = () => standIn({ runtime, leaderStore: leaderStoreOf({ trusted }), sources });
    return await createPlanner({ store, vantage }).plan(alice, signal);
  };

  test('a box that nobody needs gets its time where Redis is not trusted', async () => {
    expect(await planOf(false, async () => [box])).toMatchObject({ command: 'probe', next: { phase: 'provisioning' } });
  });

  test('an engine that was not reached yet is told as such', async () => {
    const world = new PassWorld();
    const sources = { classes: world.classes, installation, homesDir: '/srv/homes' };
    const vantage = () => standIn({ runtime: null, leaderStore: leaderStoreOf(), sources });
    const store = fakePort<BoxStore>({ read: async () => world.record });
    const plan = await createPlanner({ store, vantage }).plan(alice, signal);
    expect(plan).toMatchObject({
      command: 'none',
      message: expect.stringContaining('has not reached the container engine'),
    });
  });
});

describe('of many boxes that nobody needs, no more are stopped than the pacer lets', () => {
  const users = Array.from({ length: 12 }, (_none, n) => UserName.parse(`u${n + 10}`));
  const boxes = users.map((user) => containerOf({ user, name: `spoon-box-${user}` }));

  /** All are ready, and idle. */
  async function planAll(leading: boolean, options: Parameters<typeof leaderStoreOf>[0] = {}, taken = 0) {
    const runtime = {
      list: async () => boxes,
      image: async () => ({ state: 'present', id: imageId }) as const,
      home: async () => ({ state: 'present', uid: 1000 }) as const,
    };
    const world = new PassWorld({ ...engine, ...runtime });
    world.containers = [box];
    for (let pass = 0; pass < 2; pass += 1) await world.pass();
    world.pacer.observe(boxes.length);
    for (let place = 0; place < taken; place += 1) world.pacer.tryTake();
    const observe = async (user: UserName) => boxes.filter((one) => one.user === user);
    const sources = { ...world.sources, runtime: { ...world.sources.runtime, ...runtime, observe } };
    const store = fakePort<BoxStore>({
      users: async () => users,
      read: async (user) => ({ ...world.record, ...due, user }),
    });
    const stateOf = world.reconciler.stateOf.bind(world.reconciler);
    const onlooker = { runtime: fakeRuntime({ ...runtime, observe }), leaderStore: leaderStoreOf(options), sources };
    const vantage = async () => (leading ? { sources, stateOf, pacer: world.pacer.stats() } : await standIn(onlooker));
    const plans = await createPlanner({ store, vantage }).planAll(signal);
    const stopped = plans.filter(({ command }) => command === 'stop').map(({ user }) => user);
    const others = plans.filter(({ command }) => command !== 'stop');
    for (const { command, nextLookMs } of others) {
      expect(command).toBe('none');
      expect(nextLookMs).toBeLessThanOrEqual(60_000);
    }
    expect(plans).toHaveLength(12);
    return stopped;
  }

  test('by the leader', async () => {
    expect(await planAll(true)).toEqual(users.slice(0, 5));
    expect(await planAll(true, {}, 3)).toEqual(users.slice(0, 2));
    expect(await planAll(true, {}, 5)).toEqual([]);
  });

  test('nor by whom a process that does not lead answers for', async () => {
    const pacer = (lastMinute: number, waitMs: number) => ({ mostPerMinute: 8, lastMinute, waitMs });
    expect(await planAll(false, { pacer: pacer(2, 0) })).toEqual(users.slice(0, 6));
    expect(await planAll(false, { pacer: pacer(8, 5_000) })).toEqual([]);
    expect(await planAll(false, { pacer: pacer(8, 5_000), holder: '' })).toEqual(users.slice(0, 5));
  });
});

test('of a user of whom nothing is known, and nothing is there, there is no plan', async () => {
  const world = new PassWorld();
  world.record = { ...world.record, ...unheld, desired: null };
  expect(await plannerOf(world).plan(alice, signal)).toBe(null);
  world.containers = [box];
  expect(await plannerOf(world).plan(alice, signal)).toMatchObject({ command: 'probe' });
});
