import { describe, expect, test } from 'vitest';
import { EngineError } from '#shared/faults.ts';
import { UserName } from '#shared/identity.ts';
import { alice, containerOf, desiredOf, foreignOf, now } from '../support/box-facts.ts';
import { settled } from '../support/fake-clock.ts';
import { fenceMs, PassWorld } from '../support/pass-world.ts';

const box = containerOf();
const fault = { kind: 'failed', operation: 'start', status: 500, message: 'no' } as const;
const refused = { ok: false, refused: 'stale', detail: '' } as const;

/** A box that is ready, and a pass that found nothing to do. */
async function readyWorld(methods: ConstructorParameters<typeof PassWorld>[0] = {}): Promise<PassWorld> {
  const world = new PassWorld({ create: async () => ({ id: box.id }), probe: async () => {}, ...methods });
  await world.pass();
  world.containers = [box];
  await world.pass();
  await world.pass();
  expect(world.record.status?.phase).toBe('ready');
  world.log.length = 0;
  world.commits.length = 0;
  return world;
}

describe('one pass', () => {
  test('reads, looks, commits and then executes one command', async () => {
    const world = new PassWorld({ create: async () => ({ id: 'box-1' }) });
    expect(await world.pass()).toEqual({ requeueAfterMs: 0 });
    expect(world.log).toEqual(['observe', 'commit', 'create']);
    expect(world.commits).toMatchObject([{ version: 0, phase: 'provisioning', intent: { kind: 'none' } }]);
  });

  test('writes nothing where nothing changed, and says when to look again', async () => {
    const world = await readyWorld();
    expect(await world.pass()).toEqual({ requeueAfterMs: 30_000 });
    expect(world.log).toEqual(['observe']);
  });

  test('tells who waits that the engine does not answer, at the very first look, once', async () => {
    const down = { kind: 'unreachable', operation: 'observe', status: null, message: 'connection refused' } as const;
    const world = new PassWorld({ observe: async () => Promise.reject(new EngineError(down)) });
    expect(await world.pass()).toEqual({ requeueAfterMs: 1_000 });
    expect(world.record.status).toMatchObject({
      phase: 'absent',
      message: expect.stringContaining('connection refused'),
    });
    await world.pass();
    expect(world.log).toEqual(['observe', 'commit', 'observe']);
  });

  test('writes nothing for a user of whom nothing is there and nothing is asked', async () => {
    const world = new PassWorld();
    world.record = { ...world.record, leases: [], desired: null, wantedUntil: 0 };
    expect(await world.pass()).toEqual({ requeueAfterMs: null });
    expect(world.log).toEqual(['observe']);
  });

  test('hands the outcome of a command to the next pass, and to that only', async () => {
    let starts = 0;
    const world = new PassWorld({
      start: async () => {
        starts += 1;
        if (starts === 1) throw new EngineError(fault);
      },
    });
    world.containers = [containerOf({ state: 'created' })];
    await world.pass();
    expect(await world.pass()).toEqual({ requeueAfterMs: 0 });
    expect(world.record.status).toMatchObject({ phase: 'failed', context: { attempts: 1, reason: 'StartFailed' } });
    await world.pass();
    expect(world.record.status).toMatchObject({ phase: 'provisioning', context: { attempts: 1 } });
    expect(starts).toBe(2);
  });
});

describe('what a list showed', () => {
  test('is good enough to see that nothing is to be done', async () => {
    const world = await readyWorld();
    world.reconciler.seen(alice, [box]);
    expect(await world.pass()).toEqual({ requeueAfterMs: 30_000 });
    expect(world.log).toEqual([]);
  });

  test('is used once', async () => {
    const world = await readyWorld();
    world.reconciler.seen(alice, [box]);
    await world.pass();
    await world.pass();
    expect(world.log).toEqual(['observe']);
  });

  test('never leads to a command or a write: the box itself is looked at first', async () => {
    const world = await readyWorld();
    world.reconciler.seen(alice, []); // as if it were gone
    await world.pass();
    expect(world.log).toEqual(['observe thoroughly']);
    expect(world.commits).toEqual([]);
  });

  test('is forgotten when something is heard, or a long work ends', async () => {
    const world = await readyWorld();
    world.reconciler.seen(alice, [box]);
    world.reconciler.heard(alice);
    await world.pass();
    world.reconciler.seen(alice, [box]);
    world.reconciler.ended(alice, { command: 'pull', containerId: '', fault: null });
    await world.pass();
    expect(world.log).toEqual(['observe', 'observe']);
  });
});

describe('without the permission of a commit', () => {
  test('nothing is executed when it is refused, and the facts are read again soon', async () => {
    const world = new PassWorld();
    world.refuses = refused;
    expect(await world.pass()).toEqual({ requeueAfterMs: 50 });
    expect(world.log).toEqual(['observe', 'commit']);
    expect(world.notLeader).toEqual([]);
  });

  test('nothing is executed when Redis does not answer', async () => {
    const world = new PassWorld();
    world.refuses = new Error('Redis is gone');
    await expect(world.pass()).rejects.toThrow('Redis is gone');
    expect(world.log).toEqual(['observe', 'commit']);
  });

  test('the term ends where the token leads no more', async () => {
    const world = new PassWorld();
    world.refuses = { ok: false, refused: 'not-leader', detail: '' };
    await world.pass();
    expect(world.notLeader).toEqual(['the commit script says that another leads']);
    expect(world.log).toEqual(['observe', 'commit']);
  });

  test('nothing is executed when the commit took longer than half a term, and it is tried again', async () => {
    const world = new PassWorld();
    world.onCommit = () => world.clock.advance(fenceMs + 1);
    expect(await world.pass()).toEqual({ requeueAfterMs: 50 });
    expect(world.log).toEqual(['observe', 'commit']);
  });

  test('an outcome is kept for the next pass', async () => {
    const world = new PassWorld({ start: async () => Promise.reject(new EngineError(fault)) });
    world.containers = [containerOf({ state: 'created' })];
    await world.pass();
    world.refuses = refused;
    await world.pass();
    world.refuses = null;
    await world.pass();
    expect(world.record.status).toMatchObject({ phase: 'failed', context: { reason: 'StartFailed' } });
  });
});

test("an end that is told during a pass is the next pass's, not lost", async () => {
  const world = await readyWorld();
  world.record = { ...world.record, leases: [], wantedUntil: now + 5_000 }; // changes the state, so the pass commits
  world.onCommit = async () => {
    world.reconciler.ended(alice, { command: 'stop', containerId: 'extra-1', fault: { ...fault, operation: 'stop' } });
  };
  await world.pass();
  world.onCommit = async () => {};
  await world.pass();
  expect(world.record.status).toMatchObject({ phase: 'ready', context: { attempts: 1, reason: 'StopFailed' } });
});

describe('an idle reap', () => {
  async function idleWorld(): Promise<PassWorld> {
    const world = await readyWorld({ stop: () => new Promise(() => {}), unpause: async () => {} });
    world.record = { ...world.record, leases: [], wantedUntil: now };
    return world;
  }

  test('asks the commit for the drain, and waits for the end of the stop', async () => {
    const world = await idleWorld();
    expect(await world.pass()).toEqual({ requeueAfterMs: 500 });
    expect(world.log).toEqual(['observe', 'commit', 'stop']);
    expect(world.commits).toMatchObject([{ intent: { kind: 'drain', cause: 'idle', containerId: 'box-1' } }]);
    expect(await world.pass()).toEqual({ requeueAfterMs: null });
    expect(world.log).not.toContain('remove');
  });

  test('of a paused box asks for the drain as well, although it only unpauses at first', async () => {
    const world = await idleWorld();
    world.containers = [containerOf({ state: 'paused' })];
    await world.pass();
    expect(world.log).toEqual(['observe', 'commit', 'unpause']);
    expect(world.commits).toMatchObject([{ intent: { kind: 'drain', cause: 'idle', containerId: 'box-1' } }]);
  });

  test('takes a place of the pacer, and gives it back when it is refused or unknown', async () => {
    const world = await idleWorld();
    for (const refuses of [{ ok: false, refused: 'still-wanted', detail: '' } as const, new Error('Redis is gone')]) {
      world.refuses = refuses;
      for (let i = 0; i < 8; i += 1) await world.pass().catch(() => {});
    }
    expect(world.pacer.waitMs()).toBe(0);
    world.refuses = null;
    await world.pass();
    let left = 0;
    while (world.pacer.tryTake() !== null) left += 1;
    expect(left).toBe(4);
  });

  test('waits for its turn where the places are taken', async () => {
    const world = await idleWorld();
    while (world.pacer.tryTake() !== null) await settled();
    expect(await world.pass()).toEqual({ requeueAfterMs: 60_000 });
    expect(world.log).not.toContain('stop');
    expect(world.record.status?.message).toContain('its turn');
  });

  test('is asked for again only after a while, where Redis is not trusted yet', async () => {
    const world = await idleWorld();
    world.refuses = { ok: false, refused: 'untrusted', detail: '' };
    expect(await world.pass()).toEqual({ requeueAfterMs: 1_000 });
    expect(world.log).not.toContain('stop');
  });
});

test('a pull is followed by who waits for it, not by those of its class who are ready', async () => {
  const ended: string[] = [];
  let endPull = (): void => {};
  const world = await readyWorld({
    pull: () =>
      new Promise<void>((resolve) => {
        endPull = resolve;
      }),
  });
  const { ended: tell } = world.reconciler;
  world.reconciler.ended = (user, outcome) => {
    ended.push(`${user} ${outcome.command}`);
    tell.call(world.reconciler, user, outcome);
  };
  world.operations.pull('spoonbox/box:latest', UserName.parse('bob'));
  await world.pass();
  endPull();
  await settled();
  expect(ended).toEqual(['bob pull']);
});

test('a foreign container that goes while its commands are counted is looked at again, and no engine that is down', async () => {
  const gone = { kind: 'not-found', operation: 'countExecs', status: 404, message: 'no such container' } as const;
  const world = new PassWorld({ countExecs: async () => Promise.reject(new EngineError(gone)) });
  const foreign = foreignOf();
  world.containers = [foreign];
  world.record = { ...world.record, desired: desiredOf({ adoptContainerId: foreign.id }) };
  expect(await world.pass()).toEqual({ requeueAfterMs: 5_000 });
  expect(world.record.status?.message).toContain('it is replaced once no command runs in it');
});

test('a box whose class is not configured is granted as much time as one of the default class', async () => {
  const world = new PassWorld();
  world.containers = [box];
  world.record = { ...world.record, desired: desiredOf({ class: 'gone' }), leases: [], wantedUntil: now };
  await world.pass();
  expect(world.record.status).toMatchObject({ keepUntil: now + 1_800_000 });
});
