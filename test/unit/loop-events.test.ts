import { describe, expect, test } from 'vitest';
import { EngineError } from '#shared/faults.ts';
import type { LoopEvent } from '../../controller/src/loop-events.ts';
import { alice, containerOf, desiredOf, now } from '../support/box-facts.ts';
import { settled } from '../support/fake-clock.ts';
import { fenceMs, jobLease, PassWorld } from '../support/pass-world.ts';

/** What the passes tell of what they do: metrics, traces and health see nothing else. */

const box = containerOf();
const trace = '00-a1b2c3d4e5f60718293a4b5c6d7e8f90-0123456789abcdef-01';
const unheld = { leases: [], wantedUntil: now };
const engine = {
  create: async () => ({ id: box.id }),
  probe: async () => {},
  stop: async () => {},
  remove: async () => {},
};

function told<Type extends LoopEvent['type']>(world: PassWorld, type: Type): Extract<LoopEvent, { type: Type }>[] {
  return world.events.filter((event): event is Extract<LoopEvent, { type: Type }> => event.type === type);
}

async function readyWorld(methods: ConstructorParameters<typeof PassWorld>[0] = {}): Promise<PassWorld> {
  const world = new PassWorld({ ...engine, ...methods });
  await world.pass();
  world.containers = [box];
  await world.pass();
  await world.pass();
  expect(world.record.status?.phase).toBe('ready');
  return world;
}

describe('readiness', () => {
  test('is told once, with the time since the lease that asked', async () => {
    const world = new PassWorld(engine);
    world.record = { ...world.record, leases: [{ ...jobLease, takenAt: now - 1_500 }] };
    await world.pass();
    world.containers = [box];
    for (let pass = 0; pass < 4; pass += 1) await world.pass();
    expect(told(world, 'box-ready')).toEqual([{ type: 'box-ready', user: alice, afterMs: 1_500, trace: null }]);
  });

  test('of a box that was lost while it was held counts from the loss, not from a lease of long ago', async () => {
    const world = await readyWorld();
    world.events.length = 0;
    world.record = { ...world.record, now: now + 3_600_000, wantedUntil: now + 7_200_000 };
    world.containers = [];
    await world.pass();
    world.record = { ...world.record, now: now + 3_602_000 };
    world.containers = [box];
    for (let pass = 0; pass < 4; pass += 1) await world.pass();
    expect(told(world, 'box-ready')).toMatchObject([{ afterMs: 2_000 }]);
  });
});

describe('the trace of a lease', () => {
  test('is that of the passes until the box is ready, and of none after', async () => {
    const world = new PassWorld(engine);
    const older = { ...jobLease, takenAt: now - 5_000, trace: trace.replace('a1', 'b2') };
    world.record = { ...world.record, leases: [older, { ...jobLease, trace }] };
    await world.pass();
    expect(told(world, 'lease-waits')).toMatchObject([{ user: alice, trace }]);
    world.containers = [box];
    await world.pass();
    await world.pass();
    const passes = told(world, 'lease-waits').length;
    expect(told(world, 'box-ready')).toMatchObject([{ trace }]);
    await world.pass();
    await world.pass();
    expect(told(world, 'lease-waits')).toHaveLength(passes);
  });
});

describe('commands', () => {
  test('are told with the kind of their fault', async () => {
    const no = { kind: 'failed', operation: 'create', status: 500, message: 'no space' } as const;
    const world = new PassWorld({ ...engine, create: async () => Promise.reject(new EngineError(no)) });
    await world.pass();
    expect(told(world, 'command-ended')).toMatchObject([{ user: alice, command: 'create', fault: 'failed' }]);
  });

  test('that last longer than their pass are told at their end, once', async () => {
    let end = (): void => {};
    const stop = () =>
      new Promise<void>((resolve) => {
        end = resolve;
      });
    const world = await readyWorld({ stop });
    world.record = { ...world.record, ...unheld };
    await world.pass();
    world.events.length = 0;
    await world.clock.advance(1_234);
    expect(told(world, 'command-ended')).toEqual([]);
    end();
    await settled();
    expect(told(world, 'command-ended')).toMatchObject([{ command: 'stop', tookMs: 1_234, fault: null }]);
  });

  test('whose commit took too long are told as dropped', async () => {
    const world = new PassWorld(engine);
    world.onCommit = () => world.clock.advance(fenceMs + 1);
    await world.pass();
    expect(told(world, 'command-dropped')).toEqual([{ type: 'command-dropped', user: alice, command: 'create' }]);
    expect(told(world, 'command-ended')).toEqual([]);
  });
});

describe('reaps', () => {
  test('that Redis refuses are told with the reason, and with what they were for', async () => {
    const world = await readyWorld();
    world.record = { ...world.record, ...unheld };
    world.refuses = { ok: false, refused: 'still-wanted', detail: '' };
    await world.pass();
    expect(told(world, 'commit-refused')).toEqual([
      { type: 'commit-refused', user: alice, refused: 'still-wanted', cause: 'idle' },
    ]);
  });

  test('are told when the container is gone, with their cause, once', async () => {
    const world = await readyWorld();
    world.record = { ...world.record, ...unheld, desired: desiredOf({ generation: 9, reapGeneration: 9 }) };
    await world.pass();
    expect(told(world, 'reap-done')).toEqual([]);
    await settled();
    world.containers = [];
    await world.pass();
    await world.pass();
    expect(told(world, 'reap-done')).toEqual([{ type: 'reap-done', user: alice, cause: 'reap' }]);
  });

  test('that wait for their turn are told once, however often they are looked at', async () => {
    const world = await readyWorld();
    world.pacer.observe(1);
    while (world.pacer.tryTake() !== null);
    world.record = { ...world.record, ...unheld };
    await world.pass();
    await world.pass();
    // Something else of it changes, and is committed.
    world.record = { ...world.record, desired: desiredOf({ generation: 6 }) };
    await world.pass();
    expect(world.commits.at(-1)?.body.observedGeneration).toBe(6);
    expect(told(world, 'reap-paced')).toHaveLength(1);
  });
});

test('a pass for a user of whom nothing is stored concludes no phase', async () => {
  const world = new PassWorld();
  world.record = { ...world.record, leases: [], desired: null, wantedUntil: 0 };
  await world.pass();
  expect(told(world, 'concluded')).toMatchObject([{ phase: null }]);
});
