import { describe, expect, test } from 'vitest';
import { EngineError } from '#shared/faults.ts';
import { UserName } from '#shared/identity.ts';
import type { BoxStatus } from '#shared/status.ts';
import { freshContext } from '../../controller/src/box/context.ts';
import type { Standing } from '../../controller/src/capacity/standing.ts';
import type { LeadReply } from '../../controller/src/store/leader-store.ts';
import { alice, boxClass, containerOf, desiredOf, foreignOf, imageId, now, spec } from '../support/box-facts.ts';
import { jobLease, PassWorld } from '../support/pass-world.ts';

/** What a pass asks Redis to write and to permit, and when it asks for nothing. */

const box = containerOf();
const never = (): Promise<void> => new Promise(() => {});
const engine = {
  create: async () => ({ id: box.id }),
  ...{ start: async () => {}, probe: async () => {}, unpause: async () => {}, remove: async () => {}, stop: never },
};
const unheld = { leases: [], wantedUntil: now };

/** A box that is ready, in use, and committed so. */
async function readyWorld(methods: ConstructorParameters<typeof PassWorld>[0] = {}): Promise<PassWorld> {
  const world = new PassWorld({ ...engine, ...methods });
  await world.pass();
  world.containers = [box];
  await world.pass();
  await world.pass();
  expect(world.record.status).toMatchObject({ phase: 'ready', step: 'active' });
  world.commits.length = 0;
  world.log.length = 0;
  return world;
}

describe('a commit', () => {
  test('is asked for in the name of the leader, on the version that was read', async () => {
    const world = await readyWorld();
    const version = world.record.status?.version ?? 0;
    world.record = { ...world.record, ...unheld, wantedUntil: now + 5_000 };
    await world.pass();
    expect(world.commits).toMatchObject([{ user: alice, version, phase: 'ready', intent: { kind: 'none' } }]);
    expect(new Set(world.tokens)).toEqual(new Set(['token']));
  });

  test('speaks of the box, with the generation that it was made for', async () => {
    const world = new PassWorld(engine);
    await world.pass();
    expect(world.commits).toMatchObject([
      { version: 0, containerId: '', containerGeneration: 0, keepUntil: 0, keepCause: '' },
    ]);
    world.containers = [containerOf({ generation: 4 }), containerOf({ id: 'extra-1', name: 'extra', state: 'exited' })];
    await world.pass();
    expect(world.commits.at(-1)).toMatchObject({ containerId: 'box-1', containerGeneration: 4 });
  });

  test('speaks of what is drained, while something is', async () => {
    const world = new PassWorld({ ...engine, countExecs: async () => 0 });
    const foreign = foreignOf({ generation: 3 });
    world.containers = [foreign];
    world.record = { ...world.record, desired: desiredOf({ adoptContainerId: foreign.id }) };
    await world.pass();
    expect(world.commits).toMatchObject([
      {
        ...{ phase: 'reaping', containerId: foreign.id, containerGeneration: 3 },
        intent: { kind: 'drain', cause: 'adopt', containerId: foreign.id },
      },
    ]);
  });

  test('carries the time that was granted, and why', async () => {
    const world = await readyWorld();
    world.record = { ...world.record, ...unheld, desired: null };
    await world.pass();
    expect(world.commits).toMatchObject([{ keepUntil: now + 1_800_000, keepCause: 'its desired state was lost' }]);
  });
});

describe('the permission to drain is asked for', () => {
  test('with the cause and the container of the command', async () => {
    const world = await readyWorld();
    world.record = { ...world.record, ...unheld };
    await world.pass();
    expect(world.commits).toMatchObject([{ intent: { kind: 'drain', cause: 'idle', containerId: 'box-1' } }]);
    expect(world.log).toEqual(['observe', 'commit', 'stop']);
  });

  test('also where a stop of this container is under way already, and nothing is commanded', async () => {
    const world = await readyWorld();
    world.operations.stop('box-1', 1_000, alice);
    world.log.length = 0;
    world.record = { ...world.record, desired: desiredOf({ generation: 9, reapGeneration: 9 }), ...unheld };
    await world.pass();
    expect(world.commits).toMatchObject([
      { phase: 'reaping', intent: { kind: 'drain', cause: 'reap', containerId: 'box-1' } },
    ]);
    expect(world.log).toEqual(['observe', 'commit']);
  });

  test('for a second container, beside a box that stays ready', async () => {
    const world = await readyWorld();
    world.containers = [box, containerOf({ id: 'extra-1', name: 'extra' })];
    await world.pass();
    expect(world.commits).toMatchObject([
      {
        ...{ phase: 'ready', containerId: 'box-1' },
        intent: { kind: 'drain', cause: 'duplicate', containerId: 'extra-1' },
      },
    ]);
  });

  test('not for an unpause that somebody needs', async () => {
    const world = new PassWorld(engine);
    world.containers = [containerOf({ state: 'paused' })];
    await world.pass();
    expect(world.log).toEqual(['observe', 'commit', 'unpause']);
    expect(world.commits).toMatchObject([{ phase: 'provisioning', intent: { kind: 'none' } }]);
  });

  test('not for what is gone: the commit is only told of it', async () => {
    const world = await readyWorld();
    world.record = { ...world.record, ...unheld };
    await world.pass();
    world.containers = [];
    await world.pass();
    expect(world.commits.at(-1)).toMatchObject({
      ...{ phase: 'absent', containerId: '', intent: { kind: 'none' } },
      body: { lastReap: { cause: 'idle', at: now } },
    });
  });

  test('as a forgetting, where a deleted user has nothing left', async () => {
    const world = new PassWorld(engine);
    const desired = desiredOf({ generation: 9, reapGeneration: 9, deletedAt: now });
    world.record = { ...world.record, ...unheld, desired };
    expect(await world.pass()).toEqual({ requeueAfterMs: 0 });
    expect(world.commits).toMatchObject([{ intent: { kind: 'forget' } }]);
    expect(world.log).toEqual(['observe', 'commit']);
  });
});

describe('the history of a box has a line', () => {
  test('for each new state and each new reason, with the edge that led there, and for nothing else', async () => {
    const world = new PassWorld(engine);
    await world.pass(); // created
    world.containers = [containerOf({ state: 'created' })];
    await world.pass(); // started
    world.containers = [box];
    await world.pass(); // probed
    await world.pass(); // ready
    world.record = { ...world.record, leases: [], wantedUntil: now + 5_000 };
    await world.pass(); // idle
    world.record = { ...world.record, wantedUntil: now + 5_500, desired: desiredOf({ generation: 6 }) };
    await world.pass(); // another generation, nothing else
    world.record = { ...world.record, now: now + 1_000, wantedUntil: now + 6_000, leases: [jobLease] };
    world.containers = [containerOf({ state: 'exited', exitCode: 1 })];
    await world.pass(); // died
    const edges = [
      ['absent', 'provisioning.creating', 'there is no container: create it'],
      ['provisioning.creating', 'provisioning.starting', 'it does not run and somebody needs it: start it'],
      ['provisioning.starting', 'provisioning.probing', 'it runs: probe it'],
      ['provisioning.probing', 'ready.active', 'it runs and passed its probe, with a holder: ready'],
      ['ready.active', 'ready.idle', 'nobody holds it'],
      ['ready.idle', 'failed', 'the container is gone or ended under its holders'],
    ].map(([from, to, rule]) => ({ from, to, rule }));
    expect(world.commits.map(({ events }) => events)).toEqual([
      [{ reason: 'Provisioning', message: 'it is being created', edge: edges[0] }],
      [{ reason: 'Step', message: 'it does not run and somebody needs it: start it', edge: edges[1] }],
      [{ reason: 'Step', message: 'it runs: probe it', edge: edges[2] }],
      [{ reason: 'Active', message: 'in use', edge: edges[3] }],
      [{ reason: 'Detached', message: 'nobody holds it; it is kept for a while', edge: edges[4] }],
      [],
      [{ reason: 'ContainerDied', message: 'the container ended with exit code 1', edge: edges[5] }],
    ]);
  });

  test('where it fails for another reason than before', async () => {
    const world = new PassWorld({ ...engine, home: async () => ({ state: 'unusable', message: 'it is a link' }) });
    await world.pass();
    const { status } = world.record;
    expect(world.commits.at(-1)?.events).toMatchObject([{ reason: 'HomeFailed', message: 'it is a link' }]);
    world.containers = [foreignOf()];
    await world.pass();
    expect(world.commits.at(-1)).toMatchObject({
      phase: status?.phase,
      events: [{ reason: 'ForeignContainer', message: expect.stringContaining('is not touched') }],
    });
  });
});

describe('something to write is', () => {
  const changes: [string, (status: BoxStatus) => Partial<BoxStatus>][] = [
    ['another phase', () => ({ phase: 'failed' })],
    ['another container', () => ({ containerId: 'box-0' })],
    ['a container where none was told', () => ({ containerId: null })],
    ['another generation of it', () => ({ containerGeneration: 1 })],
    ['another time until which it is kept', () => ({ keepUntil: now - 5 })],
    ['another cause to keep it', () => ({ keepCause: 'amnesty' })],
    ['another message', () => ({ message: 'it is asleep' })],
    ['another step', () => ({ step: 'idle' })],
    ['another generation that was seen', () => ({ observedGeneration: 1 })],
    [
      'a pull that is over',
      () => ({ progress: { image: 'a', doneBytes: 1, totalBytes: 2, layersDone: 0, layers: 1 } }),
    ],
    ['another reap', () => ({ lastReap: { cause: 'idle', at: now, message: 'gone' } })],
    ['another time since which it is ready', () => ({ readyAt: 1 })],
    ['a condition that changed', ({ conditions }) => ({ conditions: conditions.slice(1) })],
  ];
  test.each(changes)('%s', async (_what, change) => {
    const world = await readyWorld();
    const { status } = world.record;
    if (status === null) throw new Error('a ready box has a status');
    await world.pass();
    expect(world.commits).toEqual([]);
    world.record = { ...world.record, status: { ...status, ...change(status) } };
    await world.pass();
    expect(world.commits).toHaveLength(1);
  });

  test('the first look at a box that nobody holds, or at a user who waits', async () => {
    const held = new PassWorld({ observe: async () => Promise.reject(unreachable) });
    await held.pass();
    expect(held.commits).toHaveLength(1);
    const orphan = new PassWorld(engine);
    orphan.containers = [containerOf({ state: 'removing' })];
    orphan.record = { ...orphan.record, ...unheld, desired: null };
    await orphan.pass();
    expect(orphan.commits).toHaveLength(1);
    const nobody = new PassWorld({ observe: async () => Promise.reject(unreachable) });
    nobody.record = { ...nobody.record, ...unheld };
    await nobody.pass();
    expect(nobody.commits).toEqual([]);
  });
});

const unreachable = new EngineError({
  ...{ kind: 'unreachable', operation: 'observe', status: null, message: 'connection refused' },
});

describe('who waits for an image', () => {
  test('is known until the image is there, or something else is in the way', async () => {
    let image: 'present' | 'absent' = 'absent';
    let fails = false;
    const world = new PassWorld({
      ...engine,
      pull: async () =>
        Promise.reject(new EngineError({ kind: 'failed', operation: 'pull', status: 500, message: 'no' })),
      image: async () => {
        if (fails) throw unreachable;
        return image === 'present' ? { state: 'present', id: imageId } : { state: 'absent' };
      },
    });
    expect(world.reconciler.waitingForImages()).toEqual([]);
    await world.pass();
    expect(world.reconciler.waitingForImages()).toEqual([]); // its pull has only begun
    await world.pass();
    expect(world.record.status).toMatchObject({ phase: 'failed' });
    expect(world.reconciler.waitingForImages()).toEqual([alice]);
    fails = true;
    await world.pass();
    expect(world.reconciler.waitingForImages()).toEqual([alice]); // nothing is known, nothing is concluded
    fails = false;
    image = 'present';
    await world.pass();
    world.containers = [box];
    await world.pass();
    await world.pass();
    expect(world.reconciler.waitingForImages()).toEqual([]);
  });

  test('is known also where the image must not be pulled', async () => {
    const world = new PassWorld({ image: async () => ({ state: 'absent' }) });
    world.classes.set('default', { ...boxClass, pullPolicy: 'Never' });
    await world.pass();
    expect(world.record.status).toMatchObject({ phase: 'failed' });
    expect(world.reconciler.waitingForImages()).toEqual([alice]);
  });

  test('is not who fails for another cause', async () => {
    const world = new PassWorld(engine);
    world.containers = [foreignOf()];
    await world.pass();
    expect(world.record.status).toMatchObject({ phase: 'failed' });
    expect(world.reconciler.waitingForImages()).toEqual([]);
  });
});

describe('an amnesty', () => {
  const first: LeadReply = {
    ...{ leads: true, counter: 1, previousAt: now, now, holder: 'me', marker: '', fingerprint: '', free: false },
  };
  async function distrusted(world: PassWorld): Promise<void> {
    await world.trust.begin(first);
    world.trust.listed([alice], world.trust.amnesty());
  }
  /** Every box has its time: the next beat finds it out. */
  async function isOver(world: PassWorld): Promise<boolean> {
    await world.trust.beat({ ...first, marker: '' });
    return world.trust.amnesty() === null;
  }

  test('reaches a running box with the commit of its pass, not before', async () => {
    const world = await readyWorld();
    world.record = { ...world.record, leases: [], wantedUntil: now };
    await distrusted(world);
    expect(await isOver(world)).toBe(false);
    world.refuses = { ok: false, refused: 'stale', detail: '' };
    await world.pass();
    expect(await isOver(world)).toBe(false);
    world.refuses = null;
    await world.pass();
    expect(world.record.status).toMatchObject({ keepUntil: now + 1_800_000 });
    expect(await isOver(world)).toBe(true);
  });

  test.each([
    ['is gone', []],
    ['does not run', [containerOf({ state: 'exited' })]],
  ])('has no business with a box that %s', async (_how, containers) => {
    const world = await readyWorld();
    await distrusted(world);
    world.containers = containers;
    await world.pass();
    expect(await isOver(world)).toBe(true);
  });

  test('is not over for a box that runs while another container of its user was drained', async () => {
    const world = await readyWorld();
    const { status } = world.record;
    if (status === null) throw new Error('a ready box has a status');
    const context = { ...freshContext, drainId: 'box-0', drainCause: 'duplicate' };
    world.record = {
      ...world.record,
      status: { ...status, phase: 'reaping', value: { reaping: 'removing' }, context },
    };
    await distrusted(world);
    await world.pass(); // what was drained is gone: its memory begins anew
    expect(world.record.status).toMatchObject({ phase: 'absent', context: { amnestyId: '' } });
    expect(await isOver(world)).toBe(false);
    for (let pass = 0; pass < 2; pass += 1) await world.pass(); // it is tried out, and ready
    expect(await isOver(world)).toBe(true);
  });

  test('is not over for a box that could not be looked at', async () => {
    const world = await readyWorld();
    await distrusted(world);
    const { status } = world.record;
    const blind = new PassWorld({ observe: async () => Promise.reject(unreachable) });
    blind.record = { ...world.record, status };
    await distrusted(blind);
    await blind.pass();
    expect(await isOver(blind)).toBe(false);
  });
});

describe('the engine is spared', () => {
  test('a pass that only writes takes no turn of a change', async () => {
    const world = await readyWorld();
    for (let i = 0; i < 998; i += 1) await world.bucket.take(world.abort.signal); // its making took two
    world.record = { ...world.record, leases: [], wantedUntil: now + 5_000 };
    await world.pass();
    expect(world.commits).toHaveLength(1);
    expect(world.clock.pending).toBe(0);
  });

  test('a pass that changes something waits for its turn before its commit', async () => {
    const world = new PassWorld(engine);
    for (let i = 0; i < 1_000; i += 1) await world.bucket.take(world.abort.signal);
    const pass = world.pass();
    await world.clock.advance(0);
    expect(world.log).toEqual(['observe']);
    await world.clock.advance(1);
    await pass;
    expect(world.log).toEqual(['observe', 'commit', 'create']);
  });
});

function takeAllPlaces(world: PassWorld): void {
  let isFull = false;
  while (!isFull) isFull = world.pacer.tryTake() === null;
}

test('an idle reap whose place was taken while it looked is looked at again at once', async () => {
  let meanwhile = (): void => {};
  const world = await readyWorld({
    home: async () => {
      meanwhile();
      return { state: 'present', uid: 1000 };
    },
  });
  world.record = { ...world.record, ...unheld };
  meanwhile = () => takeAllPlaces(world);
  expect(await world.pass()).toEqual({ requeueAfterMs: 1 });
  expect(world.log).not.toContain('commit');
});

test('a rollout takes a place of the pacer like an idle reap, and waits where there is none', async () => {
  const world = await readyWorld();
  const outdated = containerOf({ spec: { ...spec, cpus: 7 } });
  world.containers = [outdated];
  world.record = { ...world.record, leases: [] }; // its idle time is not over
  const free = (): number => world.pacer.stats().mostPerMinute - world.pacer.stats().lastMinute;
  const before = free();
  await world.pass();
  expect(world.commits).toMatchObject([{ intent: { kind: 'drain', cause: 'rollout', containerId: outdated.id } }]);
  expect(free()).toBe(before - 1);
  const full = await readyWorld();
  full.containers = [outdated];
  full.record = { ...full.record, leases: [] };
  takeAllPlaces(full);
  await full.pass();
  expect(full.log).not.toContain('stop');
  expect(full.record.status?.message).toContain('it goes when its turn comes');
});

test("an operator's reap does not wait for a place", async () => {
  const world = await readyWorld();
  takeAllPlaces(world);
  world.record = { ...world.record, desired: desiredOf({ generation: 9, reapGeneration: 9 }) };
  await world.pass();
  expect(world.log).toEqual(['observe', 'commit', 'stop']);
});

test('a reap that goes on takes no further place of the pacer', async () => {
  const world = await readyWorld();
  world.record = { ...world.record, ...unheld };
  await world.pass();
  const later = new PassWorld(engine);
  later.record = world.record;
  later.containers = [containerOf({ state: 'paused' })];
  takeAllPlaces(later);
  await later.pass();
  expect(later.log).toEqual(['observe', 'commit', 'unpause']);
});

test('a second look is thorough where something beside the box was changed', async () => {
  const world = await readyWorld();
  for (const command of ['stop', 'remove'] as const) {
    world.log.length = 0;
    world.reconciler.ended(alice, { command, containerId: 'extra-1', fault: null });
    await world.pass();
    expect(world.log[0]).toBe('observe thoroughly');
    world.log.length = 0;
    await world.pass(); // the outcome was drawn a conclusion from, once
    expect(world.log[0]).toBe('observe');
  }
  world.log.length = 0;
  world.reconciler.ended(alice, { command: 'stop', containerId: 'extra-1', fault: null });
  world.record = { ...world.record, leases: [], wantedUntil: now + 5_000 };
  await world.pass();
  await world.pass();
  expect(world.log).toEqual(['observe thoroughly', 'commit', 'observe']);
  world.log.length = 0;
  world.reconciler.ended(alice, { command: 'rename', containerId: 'box-1', fault: null });
  await world.pass();
  expect(world.log[0]).toBe('observe');
});

test('a term that is over drops its command in silence', async () => {
  const world = new PassWorld(engine);
  world.onCommit = async () => world.abort.abort(new Error('another leads'));
  expect(await world.pass()).toEqual({ requeueAfterMs: 50 });
  expect(world.log).toEqual(['observe', 'commit']);
});

describe('a place', () => {
  const held: Standing = {
    ...{ boxes: 1, memoryBytes: 1024 ** 3, state: 'held', idleSince: now, givesWayAt: null, waits: null },
  };

  test('that others took between the look and the commit is not given, and the next pass says so', async () => {
    const world = new PassWorld();
    Object.assign(world.capacity, { tryTake: () => null });
    expect(await world.pass()).toEqual({ requeueAfterMs: 1 });
    expect(world.commits).toEqual([]);
    expect(world.log).not.toContain('create');
  });

  test('is given back where its commit was refused, and stays taken where nobody knows', async () => {
    const world = new PassWorld();
    const back: string[] = [];
    Object.assign(world.capacity, { tryTake: () => ({ giveBack: () => void back.push('given back') }) });
    world.refuses = { ok: false, refused: 'stale', detail: 'version 2' };
    await world.pass();
    expect(back).toEqual(['given back']);
    world.refuses = new Error('the connection broke');
    await expect(world.pass()).rejects.toThrow('the connection broke');
    expect(back).toEqual(['given back']);
  });

  test('is given back by a box that failed again and waits for its next try, and not by one that is tried at once', async () => {
    const broken = new EngineError({ kind: 'failed', operation: 'create', status: 500, message: 'no space' });
    const world = new PassWorld({ create: async () => Promise.reject(broken) });
    const place = (): unknown => world.record.status?.context;
    for (const attempts of [1, 2]) {
      await world.pass();
      await world.pass();
      expect(world.record.status).toMatchObject({ phase: 'failed', context: { attempts } });
      expect(place()).toMatchObject({ place: attempts === 1 ? { memoryBytes: 1024 ** 3 } : null });
    }
  });

  test('is not asked for again and again where the class of a container that does not run is not configured', async () => {
    const bob = UserName.parse('bob');
    const world = new PassWorld({ remove: async () => {} }, { boxes: 1, memoryBytes: null });
    world.capacity.listed(new Set());
    world.capacity.see(bob, held, now);
    world.containers = [containerOf({ state: 'exited' })];
    world.record = { ...world.record, desired: desiredOf({ class: 'gone' }) };
    expect(await world.pass()).not.toEqual({ requeueAfterMs: 1 });
    expect(world.log).toEqual(['observe', 'commit', 'remove']);
  });

  test('of a box that the engine does not tell of is counted by a new leader as it is stored: it keeps nobody else waiting', async () => {
    const stuck = new EngineError({ kind: 'timeout', operation: 'observe', status: null, message: 'no answer' });
    const before = await readyWorld();
    const limits = { boxes: 2, memoryBytes: null };
    const world = new PassWorld({ observe: async () => Promise.reject(stuck) }, limits);
    world.record = before.record;
    world.capacity.listed(new Set([alice]));
    const wish = { order: now, memoryBytes: 1024 ** 3 };
    const bob = UserName.parse('bob');
    expect(world.capacity.admission(bob, wish, now)).toMatchObject({ state: 'waits', position: 0 });
    await world.pass();
    expect(world.capacity.admission(bob, wish, now)).toEqual({ state: 'open' });
    world.capacity.tryTake(bob, wish.memoryBytes);
    expect(world.capacity.admission(UserName.parse('carol'), wish, now)).toMatchObject({ state: 'waits', position: 1 });
  });

  test('of a user of whom nothing is stored and the engine does not tell is not known: nobody is let in before it is', async () => {
    const stuck = new EngineError({ kind: 'timeout', operation: 'observe', status: null, message: 'no answer' });
    const world = new PassWorld({ observe: async () => Promise.reject(stuck) }, { boxes: 2, memoryBytes: null });
    world.capacity.listed(new Set([alice]));
    await world.pass();
    const wish = { order: now, memoryBytes: 1024 ** 3 };
    expect(world.capacity.admission(UserName.parse('bob'), wish, now)).toMatchObject({ state: 'waits', position: 0 });
  });

  test('is not waited for by a box that failed again before its next try: nobody is to give way for it', async () => {
    const broken = new EngineError({ kind: 'failed', operation: 'create', status: 500, message: 'no space' });
    const world = new PassWorld({ create: async () => Promise.reject(broken) }, { boxes: 1, memoryBytes: null });
    world.capacity.listed(new Set());
    for (let pass = 0; pass < 4; pass += 1) await world.pass();
    expect(world.record.status).toMatchObject({ phase: 'failed', context: { attempts: 2, place: null } });
    const bob = UserName.parse('bob');
    const idle = { ...held, state: 'idle', idleSince: now - 600_000, givesWayAt: now - 540_000 } as const;
    world.capacity.see(bob, idle, now);
    await world.pass();
    expect(world.capacity.makesRoom(bob)).toBe(false);
    world.record = { ...world.record, now: now + 1_000 };
    await world.pass();
    expect(world.record.status).toMatchObject({ phase: 'absent', message: expect.stringContaining('position 1 of 1') });
    expect(world.capacity.makesRoom(bob)).toBe(true);
  });
});
