import { describe, expect, test } from 'vitest';
import type { BoxClass } from '#shared/box-class.ts';
import { EngineError, type FaultKind } from '#shared/faults.ts';
import { UserName } from '#shared/identity.ts';
import { Lease } from '#shared/lease.ts';
import type { BoxRecord } from '#shared/status.ts';
import { unlimited } from '../../controller/src/capacity/capacity.ts';
import type { Facts } from '../../controller/src/box/facts.ts';
import { gatherFacts, type PassState } from '../../controller/src/reconcile/gather.ts';
import { Operations } from '../../controller/src/reconcile/operations.ts';
import type { BoxRuntime } from '../../controller/src/runtime/port.ts';
import {
  alice,
  boxClass,
  containerOf,
  desiredOf,
  foreignOf,
  imageId,
  installation,
  now,
  spec,
  rolloutsOn,
  runMode,
} from '../support/box-facts.ts';
import { fakeRuntime } from '../support/fake-runtime.ts';
import { emptyBody } from '../contract/box-store-world.ts';

const image = boxClass.image;
const brief: BoxClass = { ...boxClass, name: 'brief', idle: { ...boxClass.idle, detached: 1_000 } };

function lease(id: string, expiresAt: number): Lease {
  return Lease.parse({ id, kind: 'job', holder: 'agent-7', takenAt: now, expiresAt, ttlMs: 30_000 });
}

function worldOf(methods: Partial<BoxRuntime> = {}, classes: readonly BoxClass[] = [boxClass, brief]) {
  const looks: string[] = [];
  const runtime = fakeRuntime({
    observe: async (user, { thorough }) => {
      looks.push(`${user}${thorough ? ' thoroughly' : ''}`);
      return [];
    },
    image: async () => ({ state: 'present', id: imageId }),
    home: async () => ({ state: 'present', uid: 1000 }),
    pull: () => new Promise(() => {}),
    stop: () => new Promise(() => {}),
    ...methods,
  });
  const { signal } = new AbortController();
  const told: string[] = [];
  const onProgress = (user: string): void => void told.push(user);
  const time = { ms: 0 };
  const operations = new Operations({ runtime, signal, nowMs: () => time.ms, onProgress, onEnd: () => {} });
  const sources = {
    ...{ runtime, operations, installation, homesDir: '/srv/homes' },
    classes: new Map(classes.map((each) => [each.name, each])),
  };
  const record: BoxRecord = {
    ...{ user: alice, now, desired: desiredOf(), leases: [lease('job-1', now + 30_000)], ended: [], sessions: [] },
    ...{ status: null, holds: [], vaultRevision: 0, wantedUntil: now + 60_000, mode: runMode, rollout: rolloutsOn },
    givesWayAt: null,
    homeUsage: null,
  };
  const state: PassState = {
    listed: null,
    thorough: false,
    last: null,
    amnesty: null,
    capacity: unlimited,
    pacedMs: 0,
  };
  const gather = (recordChanges: Partial<BoxRecord> = {}, stateChanges: Partial<PassState> = {}): Promise<Facts> =>
    gatherFacts(sources, { ...record, ...recordChanges }, { ...state, ...stateChanges }, signal);
  return { gather, operations, looks, told, time };
}

function refusing(kind: FaultKind, operation: string): () => Promise<never> {
  return async () => Promise.reject(new EngineError({ kind, operation, status: null, message: 'connection refused' }));
}

test('everything is known of a world in order', async () => {
  const { gather, looks } = worldOf();
  expect(await gather({ vaultRevision: 3 })).toEqual({
    ...{ now, user: alice, desired: desiredOf(), hasLease: true, wantedUntil: now + 60_000 },
    ...{ keptUntil: 0, sessionsIn: [], rollout: rolloutsOn },
    ...{ givesWayAt: null, makesRoom: false, admission: { state: 'open' } },
    ...{ nextLeaseExpiry: now + 30_000, engineDown: null, foreignExecs: null, boxClass, spec, last: null },
    homeUsage: null,
    ownership: { box: null, misnamed: false, extras: [], foreign: null },
    image: { state: 'present', id: imageId },
    home: { state: 'present', rightOwner: true },
    ...{
      vault: { revision: 3 },
      stopping: [],
      amnesty: null,
      orphanGraceMs: 1_800_000,
      mode: runMode,
      pacedUntil: null,
    },
  });
  expect(looks).toEqual(['alice']);
});

describe('the engine', () => {
  test('is not asked where a list showed what is there', async () => {
    const { gather, looks } = worldOf();
    const facts = await gather({}, { listed: [containerOf()] });
    expect(facts.ownership.box).toEqual(containerOf());
    expect(looks).toEqual([]);
  });

  test('is asked thoroughly where the pass wants it', async () => {
    const { gather, looks } = worldOf();
    await gather({}, { thorough: true });
    expect(looks).toEqual(['alice thoroughly']);
  });

  test.each(['observe', 'image', 'home'] as const)(
    'that does not answer %s is a fact, and nothing else is',
    async (call) => {
      const { gather } = worldOf({ [call]: refusing('unreachable', call) });
      expect(await gather({}, { listed: call === 'observe' ? null : [containerOf()] })).toMatchObject({
        engineDown: `${call}: connection refused`,
        ownership: { box: null, misnamed: false, extras: [], foreign: null },
        ...{ image: { state: 'unknown' }, home: { state: 'absent' }, spec: null, foreignExecs: null },
        ...{ hasLease: true, boxClass, wantedUntil: now + 60_000 },
      });
    },
  );

  test('is not blamed for a bug of ours', async () => {
    const { gather } = worldOf({ image: async () => Promise.reject(new TypeError('a bug')) });
    await expect(gather()).rejects.toThrow('a bug');
  });
});

describe('leases', () => {
  test('the next to end is the earliest', async () => {
    const { gather } = worldOf();
    const leases = [lease('a', now + 9_000), lease('b', now + 3_000), lease('c', now + 5_000)];
    expect(await gather({ leases })).toMatchObject({ hasLease: true, nextLeaseExpiry: now + 3_000 });
    expect(await gather({ leases: [] })).toMatchObject({ hasLease: false, nextLeaseExpiry: null });
  });
});

describe('time that is granted', () => {
  const amnesty = { id: 'a', cause: 'amnesty: Redis was restarted' };

  test('is the idle time of the class', async () => {
    const { gather } = worldOf();
    expect(await gather({}, { amnesty })).toMatchObject({
      amnesty: { ...amnesty, graceMs: 1_800_000 },
      orphanGraceMs: 1_800_000,
    });
  });

  test('is never less than the longest lease that may have been lost', async () => {
    const { gather } = worldOf();
    const facts = await gather({ desired: desiredOf({ class: 'brief' }) }, { amnesty });
    expect(facts).toMatchObject({ boxClass: brief, amnesty: { graceMs: 300_000 }, orphanGraceMs: 300_000 });
  });

  test('is that of the default class where the class is not configured, or nothing is desired', async () => {
    const { gather } = worldOf();
    expect(await gather({ desired: desiredOf({ class: 'gone' }) })).toMatchObject({
      ...{ boxClass: null, orphanGraceMs: 1_800_000, image: { state: 'unknown' }, spec: null },
    });
    expect(await gather({ desired: null })).toMatchObject({ boxClass, orphanGraceMs: 1_800_000 });
  });

  test('is the longest lease where no class is known at all', async () => {
    const { gather } = worldOf({}, []);
    expect(await gather()).toMatchObject({ boxClass: null, orphanGraceMs: 300_000 });
  });
});

test('the pacer tells a time, or none', async () => {
  const { gather } = worldOf();
  expect(await gather({}, { pacedMs: 1 })).toMatchObject({ pacedUntil: now + 1 });
  expect(await gather({}, { pacedMs: 0 })).toMatchObject({ pacedUntil: null });
});

test('what this process is stopping, and how its last command ended, are told', async () => {
  const { gather, operations } = worldOf();
  operations.stop('box-9', 1_000, alice);
  const last = { command: 'start', containerId: 'box-1', fault: null } as const;
  expect(await gather({}, { last })).toMatchObject({ stopping: ['box-9'], last });
});

describe('the image', () => {
  const withPolicy = (pullPolicy: BoxClass['pullPolicy'], state: 'present' | 'absent', pull?: BoxRuntime['pull']) =>
    worldOf(
      {
        image: async () => (state === 'present' ? { state, id: imageId } : { state }),
        ...(pull === undefined ? {} : { pull }),
      },
      [{ ...boxClass, pullPolicy }],
    );

  test.each([
    ['IfNotPresent', 'present', { state: 'present', id: imageId }],
    ['IfNotPresent', 'absent', { state: 'wanted' }],
    ['Never', 'present', { state: 'present', id: imageId }],
    ['Never', 'absent', { state: 'forbidden' }],
    ['Always', 'present', { state: 'wanted' }],
    ['Always', 'absent', { state: 'wanted' }],
  ] as const)('with the policy %s, where it is %s', async (policy, state, fact) => {
    const { gather } = withPolicy(policy, state);
    const facts = await gather();
    expect(facts.image).toEqual(fact);
    expect(facts.spec).toEqual(fact.state === 'present' ? spec : null);
  });

  test('that is always to be fresh is pulled once by each process', async () => {
    const { gather, operations } = withPolicy('Always', 'present', async () => {});
    operations.pull(image, alice);
    await new Promise((resolve) => setImmediate(resolve));
    expect((await gather()).image).toEqual({ state: 'present', id: imageId });
  });

  test('that is being pulled is a fact, with how far it is, and who waits is told more', async () => {
    let progressed = (_bytes: number): void => {};
    const { gather, operations, told, time } = withPolicy('IfNotPresent', 'absent', (_image, onProgress) => {
      progressed = (doneBytes) => onProgress({ image, doneBytes, totalBytes: 9, layersDone: 0, layers: 1 });
      return new Promise(() => {});
    });
    const status = { ...emptyBody, version: 1, containerId: null, containerGeneration: 0, keepUntil: 0, keepCause: '' };
    operations.pull(image, alice);
    // Nobody holds it, or it is ready: the pull is none of its business.
    const others = [{ leases: [] }, { status: { ...status, phase: 'ready' as const } }];
    const bob = { user: UserName.parse('bob') };
    for (const other of others)
      expect(await gather({ ...bob, ...other })).toMatchObject({ image: { state: 'pulling', progress: null } });
    progressed(1);
    expect(told).toEqual([alice]);
    await gather({ ...bob, status: { ...status, phase: 'failed' } });
    time.ms = 1_000;
    progressed(2);
    expect(told).toEqual([alice, alice, 'bob']);
    expect((await gather()).image).toMatchObject({ state: 'pulling', progress: { doneBytes: 2 } });
  });

  test.each(['IfNotPresent', 'Always'] as const)(
    'that an operator has pulled again is there all the while, with the policy %s',
    async (policy) => {
      let pulls = 0;
      const { gather, operations } = withPolicy(policy, 'present', () => {
        pulls += 1;
        return pulls === 1 ? Promise.resolve() : new Promise(() => {});
      });
      await operations.refresh(image);
      void operations.refresh(image);
      expect(operations.pullOf(image, null)).not.toBeNull();
      expect((await gather()).image).toEqual({ state: 'present', id: imageId });
    },
  );
});

describe('the home', () => {
  test.each([
    [
      { state: 'present', uid: 1000 },
      { state: 'present', rightOwner: true },
    ],
    [
      { state: 'present', uid: 1001 },
      { state: 'present', rightOwner: false },
    ],
    [{ state: 'present', uid: 0 }, { state: 'not-given' }],
    [{ state: 'absent' }, { state: 'absent' }],
    [
      { state: 'unusable', message: 'it is a link' },
      { state: 'unusable', message: 'it is a link' },
    ],
  ] as const)('that is %j is %j', async (home, fact) => {
    const { gather } = worldOf({ home: async () => home });
    expect((await gather()).home).toEqual(fact);
  });

  test("that is root's is right for a class whose user is root, and where no class is known", async () => {
    const home = async () => ({ state: 'present', uid: 0 }) as const;
    const right = { state: 'present', rightOwner: true };
    const rooted = { ...boxClass, user: { ...boxClass.user, uid: 0 } };
    expect((await worldOf({ home }, [rooted]).gather()).home).toEqual(right);
    expect((await worldOf({ home }, []).gather()).home).toEqual(right);
  });
});

describe('the commands in a foreign container', () => {
  const foreign = foreignOf();
  const named = { desired: desiredOf({ adoptContainerId: foreign.id }) };

  test('are counted where an operator named it, and only there', async () => {
    const counted: string[] = [];
    const { gather } = worldOf({
      countExecs: async (id) => {
        counted.push(id);
        return 3;
      },
    });
    expect((await gather({}, { listed: [foreign] })).foreignExecs).toBeNull();
    expect(counted).toEqual([]);
    expect((await gather(named, { listed: [foreign] })).foreignExecs).toBe(3);
    expect(counted).toEqual([foreign.id]);
  });

  test('are not known where it went meanwhile', async () => {
    const { gather } = worldOf({ countExecs: refusing('not-found', 'countExecs') });
    expect(await gather(named, { listed: [foreign] })).toMatchObject({ foreignExecs: null, engineDown: null });
  });

  test('cannot be counted by an engine that does not answer, nor past a bug', async () => {
    const { gather } = worldOf({ countExecs: refusing('timeout', 'countExecs') });
    expect((await gather(named, { listed: [foreign] })).engineDown).toBe('countExecs: connection refused');
    const broken = worldOf({ countExecs: async () => Promise.reject(new TypeError('a bug')) });
    await expect(broken.gather(named, { listed: [foreign] })).rejects.toThrow('a bug');
  });
});
