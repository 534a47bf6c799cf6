import { expect, test } from 'vitest';
import { EngineError, type Fault } from '#shared/faults.ts';
import { UserName } from '#shared/identity.ts';
import type { PullProgress } from '#shared/status.ts';
import { Operations, type Outcome } from '../../controller/src/reconcile/operations.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { fakeRuntime } from '../support/fake-runtime.ts';

const [alice, bob] = [UserName.parse('alice'), UserName.parse('bob')];
const image = 'spoonbox/box:latest';
const fault: Fault = { kind: 'failed', operation: 'pull', status: 500, message: 'no such registry' };

function worldOf() {
  const clock = new FakeClock();
  const abort = new AbortController();
  const ends: (Outcome & { user: string })[] = [];
  const told: string[] = [];
  const works: { name: string; end: () => void; fail: (error: Error) => void }[] = [];
  let onProgress: (progress: PullProgress) => void = () => {};
  const begin = (name: string): Promise<void> =>
    new Promise((end, fail) => {
      works.push({ name, end, fail });
    });
  const operations = new Operations({
    runtime: fakeRuntime({
      pull: (reference, on) => {
        onProgress = on;
        return begin(`pull ${reference}`);
      },
      stop: (id, graceMs) => begin(`stop ${id} ${graceMs}`),
    }),
    signal: abort.signal,
    nowMs: () => clock.monotonicMs(),
    onProgress: (user) => told.push(user),
    onEnd: (user, outcome) => ends.push({ ...outcome, user }),
  });
  const progress = (doneBytes: number): void =>
    onProgress({ image, doneBytes, totalBytes: 100, layersDone: 0, layers: 1 });
  return { clock, abort, ends, told, works, operations, progress };
}

test('an image is pulled once for all who wait, and each of them is told the end', async () => {
  const { operations, works, ends } = worldOf();
  operations.pull(image, alice);
  operations.pull(image, bob);
  expect(works.map(({ name }) => name)).toEqual([`pull ${image}`]);
  expect(operations.wasPulled(image)).toBe(false);
  works[0]?.end();
  await settled();
  expect(ends).toEqual([alice, bob].map((user) => ({ user, command: 'pull', containerId: '', fault: null })));
  expect(operations.wasPulled(image)).toBe(true);
  expect(operations.pullOf(image, null)).toBeNull();
});

test('who only looks is not told; who says that it waits is', async () => {
  const { operations, works, ends } = worldOf();
  operations.pull(image, alice);
  expect(operations.pullOf(image, null)).not.toBeNull();
  works[0]?.fail(new EngineError(fault));
  await settled();
  expect(ends).toEqual([{ user: alice, command: 'pull', containerId: '', fault }]);
  operations.pull(image, alice);
  operations.pullOf(image, bob);
  works[1]?.end();
  await settled();
  expect(ends.slice(1).map(({ user }) => user)).toEqual([alice, bob]);
});

test('progress is told at most once a second, and is there at any time', async () => {
  const { operations, told, clock, progress } = worldOf();
  operations.pull(image, alice);
  for (let i = 1; i <= 30; i += 1) {
    progress(i);
    await clock.advance(100);
  }
  expect(told).toEqual([alice, alice, alice]);
  expect(operations.pullOf(image, null)?.progress).toMatchObject({ doneBytes: 30 });
});

test('a container is stopped once, is known as stopping meanwhile, and its end is told', async () => {
  const { operations, works, ends } = worldOf();
  operations.stop('box-1', 5_000, alice);
  operations.stop('box-1', 5_000, alice);
  operations.stop('box-2', 5_000, bob);
  expect(works.map(({ name }) => name)).toEqual(['stop box-1 5000', 'stop box-2 5000']);
  expect(operations.stopping()).toEqual(['box-1', 'box-2']);
  works[0]?.fail(new TypeError('a bug'));
  await settled();
  expect(operations.stopping()).toEqual(['box-2']);
  expect(ends).toMatchObject([
    { user: alice, command: 'stop', containerId: 'box-1', fault: { kind: 'failed', message: 'a bug' } },
  ]);
});

test('an adapter that throws instead of rejecting leaves no pull behind that never ends', async () => {
  const ends: Outcome[] = [];
  const operations = new Operations({
    runtime: fakeRuntime({}),
    signal: new AbortController().signal,
    nowMs: () => 0,
    onProgress: () => {},
    onEnd: (_user, outcome) => ends.push(outcome),
  });
  operations.pull(image, alice);
  operations.stop('box-1', 1, alice);
  await settled();
  expect(ends.map(({ fault: found }) => [found?.kind, found?.operation])).toEqual([
    ['failed', 'pull'],
    ['failed', 'stop'],
  ]);
  expect(operations.wasPulled(image)).toBe(false);
  expect([operations.pullOf(image, null), operations.stopping()]).toEqual([null, []]);
});

test('after the term nothing is told any more', async () => {
  const { operations, works, ends, abort } = worldOf();
  operations.pull(image, alice);
  abort.abort();
  works[0]?.end();
  await settled();
  expect(ends).toEqual([]);
});
