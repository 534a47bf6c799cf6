import { expect, test } from 'vitest';
import { TinyWorld } from '../support/tiny-world.ts';
import { containerOf } from '../support/box-facts.ts';

const hourMs = 3_600_000;

/** When a box was started, in ms from the beginning, until the given time. */
function startsOf(world: TinyWorld, untilMs: number): number[] {
  const from = world.now;
  for (let pass = 0; world.now - from < untilMs; pass += 1) {
    if (pass > 20_000) throw new Error('a hot loop: 20,000 passes');
    world.pass(null);
  }
  return world.commands.filter(({ type }) => type === 'start').map(({ at }) => at - from);
}

for (const [how, diesAfterMs] of [
  ['as soon as it starts', 0],
  ['right after it was ready', 60],
] as const) {
  test(`a box that dies ${how} is started again at once, then ever more rarely`, () => {
    const world = new TinyWorld();
    world.diesAfterMs = diesAfterMs;
    const starts = startsOf(world, hourMs);
    const waits = starts.slice(1).map((at, index) => at - (starts[index] ?? 0));
    expect(waits[0]).toBeLessThan(500);
    for (const [index, atLeastMs] of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000].entries())
      expect(waits[index + 1]).toBeGreaterThanOrEqual(atLeastMs);
    for (const wait of waits.slice(7)) expect(wait).toBeGreaterThanOrEqual(60_000);
    // It goes on for as long as somebody wants the box: once a minute, neither less nor more.
    expect(starts.length).toBeGreaterThan(55);
    expect(starts.length).toBeLessThan(70);
  });
}

test('a box that dies again and again is replaced, not only started once more', () => {
  const world = new TinyWorld();
  world.diesAfterMs = 0;
  startsOf(world, 600_000);
  const ids = new Set(world.commands.filter(({ type }) => type === 'start').map(({ id }) => id));
  expect(ids.size).toBeGreaterThan(5);
  expect(world.ours.length).toBeLessThanOrEqual(1);
});

test('a box that was ready for more than a minute is started at once when it dies, each time', () => {
  const world = new TinyWorld();
  world.diesAfterMs = 90_000;
  const starts = startsOf(world, hourMs);
  const waits = starts.slice(1).map((at, index) => at - (starts[index] ?? 0));
  expect(waits.length).toBeGreaterThan(10);
  for (const wait of waits) expect(wait).toBeLessThanOrEqual(90_000 + 1_000);
  expect(world.stored?.context.attempts).toBeLessThanOrEqual(1);
});

test('a dead box that differs from its class is replaced, and how it died is remembered', () => {
  const world = new TinyWorld();
  const old = containerOf();
  world.containers = [{ ...old, spec: old.spec === null ? null : { ...old.spec, cpus: 7 } }];
  for (let pass = 0; pass < 3; pass += 1) world.pass(null);
  expect(world.stored?.value).toEqual({ ready: 'active' });
  world.containers = world.containers.map((box) => ({ ...box, state: 'exited', oomKilled: true, exitCode: 137 }));
  expect(world.pass(null).context).toMatchObject({ reason: 'OutOfMemory', attempts: 1 });
  for (let pass = 0; pass < 8; pass += 1) world.pass(null);
  expect(world.stored?.value).toEqual({ ready: 'active' });
  expect(world.containers).toMatchObject([{ id: 'made-1', spec: { cpus: 1 } }]);
});

test('a container that vanishes each time it was made is not made again and again without a pause', () => {
  const world = new TinyWorld();
  const from = world.now;
  for (let pass = 0; pass < 400 && world.now - from < 60_000; pass += 1) {
    world.pass(null);
    world.containers = [];
  }
  const creates = world.commands.filter(({ type }) => type === 'create');
  expect(creates.length).toBeGreaterThan(2);
  expect(creates.length).toBeLessThan(12);
});
