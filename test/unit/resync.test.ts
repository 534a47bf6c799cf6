import { expect, test } from 'vitest';
import type { BoxStore } from '#shared/box-store.ts';
import { UserName } from '#shared/identity.ts';
import { noLimits } from '#shared/config.ts';
import { createLogger } from '#shared/log.ts';
import type { ModeView } from '#shared/operator-schemas.ts';
import type { ContainerView } from '../../controller/src/box/observed.ts';
import { Capacity } from '../../controller/src/capacity/capacity.ts';
import { WorkQueue } from '../../controller/src/queue/work-queue.ts';
import { Resync } from '../../controller/src/source/resync.ts';
import type { LeaderStore } from '../../controller/src/store/leader-store.ts';
import { Trust } from '../../controller/src/reconcile/trust.ts';
import { alice, containerOf, foreignOf, installation, now, pauseMode, runMode } from '../support/box-facts.ts';
import { settled } from '../support/fake-clock.ts';
import { fakePort } from '../support/fake-port.ts';
import { fakeRuntime } from '../support/fake-runtime.ts';
import { PassWorld } from '../support/pass-world.ts';

const bob = UserName.parse('bob');
const bobsBox = containerOf({ id: 'box-2', user: 'bob', name: 'spoon-box-bob' });
const everyMs = 60_000;

/** A resync between an engine and a queue; `seen` is what the passes may use instead of looking themselves. */
function worldOf(options: { users: UserName[]; list: () => Promise<ContainerView[]>; mode?: ModeView }) {
  const { clock, abort, pacer, reconciler } = new PassWorld();
  const seen = new Map<UserName, readonly ContainerView[]>();
  const passes: UserName[] = [];
  let lists = 0;
  reconciler.seen = (user, containers) => void seen.set(user, containers);
  const log = createLogger({ name: 'test', level: 'silent' });
  const queue = new WorkQueue<UserName>({
    clock,
    workers: 100,
    process: async (user) => {
      passes.push(user);
      return { requeueAfterMs: null };
    },
    onThrow: (_user, error) => {
      throw error;
    },
  });
  const running: string[] = [];
  const changes: string[] = [];
  /** as it was told each time */
  const modes: string[] = [];
  const resync = new Resync({
    runtime: fakeRuntime({
      ensureNetwork: async () => void changes.push('ensureNetwork'),
      removeLeftHelpers: async () => void changes.push('removeLeftHelpers'),
      forgetImages: () => {},
      list: () => {
        lists += 1;
        return options.list();
      },
    }),
    store: fakePort<BoxStore>({
      users: async () => options.users,
      mode: async () => ({ now, mode: options.mode ?? runMode }),
    }),
    installation,
    clock,
    log,
    everyMs,
    pacer,
    capacity: new Capacity({ limits: noLimits, onCall: () => {} }),
    trust: new Trust({ store: fakePort<LeaderStore>({}), clock, log, token: 'token', onAmnesty: () => {} }),
    reconciler,
    queue,
    onRunning: (boxes) => running.push(...boxes.map(({ id }) => id)),
    onEvent: (event) => void (event.type === 'mode-read' && modes.push(event.mode)),
  });
  const run = resync.run(abort.signal);
  const stop = async (): Promise<void> => {
    abort.abort();
    await run;
    await queue.close();
    expect(clock.pending).toBe(0);
  };
  return { resync, clock, seen, passes, pacer, running, changes, modes, stop, lists: () => lists };
}

test('everybody who is known here or has a box of ours gets a pass, with one list for all', async () => {
  const foreign = foreignOf({ name: 'spoon-box-carol', installation: 'another' });
  const world = worldOf({ users: [alice], list: async () => [containerOf(), bobsBox, foreign] });
  await settled();
  expect(world.passes.toSorted()).toEqual([alice, bob]);
  expect(world.seen).toEqual(
    new Map([
      [alice, [containerOf()]],
      [bob, [bobsBox]],
    ]),
  );
  expect(world.lists()).toBe(1);
  await world.stop();
});

test('every list tells which boxes of ours run', async () => {
  const list = async () => [containerOf(), { ...bobsBox, state: 'exited' as const }, foreignOf({ id: 'foreign-9' })];
  const world = worldOf({ users: [alice, bob], list });
  await settled();
  expect(world.running).toEqual([containerOf().id]);
  await world.stop();
});

test("a container that is in the way counts for the user of its label and of its name, a stranger's only by name", async () => {
  const swapped = containerOf({ id: 'box-9', name: 'spoon-box-bob' });
  const foreign = foreignOf({ id: 'foreign-9' });
  const world = worldOf({ users: [alice, bob], list: async () => [swapped, foreign] });
  await settled();
  expect(world.seen.get(alice)).toEqual([swapped, foreign]);
  expect(world.seen.get(bob)).toEqual([swapped]);
  await world.stop();
});

test('a list that was under way when something was heard of a user is not used for that user', async () => {
  let answer = (_containers: ContainerView[]): void => {};
  const listed = new Promise<ContainerView[]>((resolve) => {
    answer = resolve;
  });
  const world = worldOf({ users: [alice, bob], list: () => listed });
  await settled();
  world.resync.heard(alice);
  answer([containerOf(), bobsBox]);
  await settled();
  expect([...world.seen.keys()]).toEqual([bob]);
  expect(world.passes.toSorted()).toEqual([alice, bob]);
  await world.stop();
});

test('it comes every minute, every five seconds while no events come, and at once after a gap', async () => {
  const world = worldOf({ users: [], list: async () => [] });
  await settled();
  await world.clock.advance(15_000);
  expect(world.lists()).toBe(4);
  world.resync.streamStands();
  await settled();
  expect(world.lists()).toBe(5);
  await world.clock.advance(everyMs - 1);
  expect(world.lists()).toBe(5);
  await world.clock.advance(1);
  expect(world.lists()).toBe(6);
  world.resync.streamBroke('cut');
  await settled();
  expect(world.lists()).toBe(7);
  await world.clock.advance(5_000);
  expect(world.lists()).toBe(8);
  expect(world.resync.lastAgoMs()).toBe(0);
  await world.stop();
});

test('what is asked for while a list is under way comes right after it', async () => {
  const answers: (() => void)[] = [];
  const world = worldOf({ users: [], list: () => new Promise((resolve) => answers.push(() => resolve([]))) });
  await settled();
  world.resync.soon();
  world.resync.soon();
  answers[0]?.();
  await settled();
  expect(world.lists()).toBe(2);
  answers[1]?.();
  await settled();
  expect(world.lists()).toBe(2);
  await world.stop();
});

test('where the engine does not answer, everybody known gets a pass that finds it out, and it goes on', async () => {
  const world = worldOf({ users: [alice, bob], list: async () => Promise.reject(new Error('connection refused')) });
  await settled();
  expect(world.passes).toEqual([alice, bob]);
  expect(world.seen.size).toBe(0);
  expect(world.resync.lastAgoMs()).toBeNull();
  await world.clock.advance(5_000);
  expect(world.passes).toHaveLength(4);
  await world.stop();
});

test('while the reconciler is paused everybody is looked at, and nothing on the engine is changed', async () => {
  const options = { users: [alice], list: async () => [bobsBox], mode: pauseMode };
  const world = worldOf(options);
  await settled();
  expect([world.passes.toSorted(), world.changes]).toEqual([[alice, bob], []]);
  options.mode = runMode;
  world.resync.soon();
  await settled();
  expect(world.changes).toEqual(['ensureNetwork', 'removeLeftHelpers']);
  expect([...new Set(world.modes)]).toEqual(['pause', 'run']);
  await world.stop();
});

test('the pacer is told how many boxes of ours run', async () => {
  const boxes = Array.from({ length: 50 }, (_, i) =>
    containerOf({ id: `b${i}`, user: `u${i}`, name: `spoon-box-u${i}` }),
  );
  const world = worldOf({
    users: [alice],
    list: async () => [...boxes, foreignOf(), containerOf({ state: 'exited' })],
  });
  await settled();
  let places = 0;
  while (world.pacer.tryTake() !== null) places += 1;
  expect(places).toBe(10);
  await world.stop();
});
