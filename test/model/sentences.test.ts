import { expect, test } from 'vitest';
import type { HomeUsage } from '#shared/home-usage.ts';
import type { StatusBody } from '#shared/status.ts';
import type { BoxContext } from '../../controller/src/box/context.ts';
import { conditionsOf, messageOf, statusBodyOf } from '../../controller/src/box/conditions.ts';
import type { Facts } from '../../controller/src/box/facts.ts';
import { planNext } from '../../controller/src/box/plan.ts';
import type { StateValue } from '../../controller/src/box/snapshot.ts';
import {
  alice,
  boxClass,
  containerOf,
  desiredOf,
  drainMode,
  factsOf,
  foreignOf,
  imageId,
  now,
  pauseMode,
  rolloutsPaused,
  spec,
} from '../support/box-facts.ts';
import { admissions, contextOf, outdated } from './worlds.ts';

/**
 * What people read of a box, in every situation that has words of its own. Renew `sentences.txt` with
 * `npm test -- test/model/sentences.test.ts -u`, and read the difference.
 */

const box = containerOf();
const alone = { box, misnamed: false, extras: [], foreign: null };
const foreign = foreignOf({ id: '0123456789abcdef' });
const inTheWay = { ...alone, box: null, foreign };
const idle = { hasLease: false, wantedUntil: now, nextLeaseExpiry: null };
const kept = { ...idle, wantedUntil: now + 60_000 };
const wanted = { image: { state: 'wanted' }, spec: null } as const;
const progress = { image: 'spoonbox/box:latest', doneBytes: 5, totalBytes: 10, layersDone: 1, layers: 2 };
const ended = (changes: Parameters<typeof containerOf>[0]): Facts['ownership'] => ({
  ...alone,
  box: containerOf({ state: 'exited', ...changes }),
});
const fault = (command: NonNullable<Facts['last']>['command']): Facts['last'] => ({
  command,
  containerId: command === 'pull' ? '' : 'box-1',
  fault: { kind: 'failed', operation: command, status: 500, message: `the engine said no to ${command}` },
});

const ready = { probedId: 'box-1', readyAt: now - 5_000 };
const failed = {
  attempts: 3,
  retryAt: now + 4_000,
  failedGeneration: 5,
  reason: 'ProbeFailed',
  message: 'it exits 1',
} as const;
const draining = { drainId: 'box-1', drainCause: 'idle' } as const;
const lastReap = { cause: 'idle', at: now - 9_000, message: 'nobody needed the box any more' } as const;

const vault = { revision: 7 };
const written: BoxContext['vault'] = {
  ...{ containerId: 'box-1', triedRevision: 7, attempts: 0, retryAt: 0, reason: null, message: '' },
  applied: { revision: 7, drift: [], at: now - 3_000 },
};
const failedVault = { ...written, applied: null, attempts: 2, retryAt: now + 2_000 };
const drift = (['edited', 'foreign', 'removed', 'no-file', 'edited', 'edited'] as const).map((how, at) => ({
  path: `.file${at}`,
  how,
}));

/** A box in use, whose class lets homes take up 20 GiB. */
function homeOf(changes: Partial<HomeUsage> | null): Partial<Facts> {
  const usual = {
    user: alice,
    class: 'default',
    usedBytes: 4_096,
    isWhole: true,
    measuredAt: now - 9_000,
    problem: '',
  };
  const homeUsage = changes === null ? null : { ...usual, ...changes };
  return { ownership: alone, boxClass: { ...boxClass, home: { quota: 20 * 1024 ** 3 } }, homeUsage };
}

/** Where the box is, what is remembered, and what is found now. */
const situations: Readonly<Record<string, [StateValue, Partial<BoxContext>, Partial<Facts>]>> = {
  'in use': [{ ready: 'active' }, ready, { ownership: alone }],
  'nobody was ever there': ['absent', {}, idle],
  'it was reaped': ['absent', { lastReap }, idle],
  'the engine is down': [{ ready: 'active' }, ready, { engineDown: 'connection refused' }],
  'nobody holds it, but it was used lately': [{ ready: 'active' }, ready, { ...kept, ownership: alone }],
  'it is due, and waits for its turn': [
    { ready: 'idle' },
    ready,
    { ...idle, ownership: alone, pacedUntil: now + 5_000 },
  ],
  'it is not due, and the pacer is full': [
    { ready: 'idle' },
    ready,
    { ...kept, ownership: alone, pacedUntil: now + 5_000 },
  ],
  'it is in use, and its image or class changed': [
    { ready: 'active' },
    ready,
    { ownership: { ...alone, box: outdated } },
  ],
  'nobody holds it, and its image or class changed: it goes': [
    { ready: 'idle' },
    ready,
    { ...kept, ownership: { ...alone, box: outdated } },
  ],
  'nobody holds it, its image or class changed, and the pacer is full': [
    { ready: 'idle' },
    ready,
    { ...kept, ownership: { ...alone, box: outdated }, pacedUntil: now + 5_000 },
  ],
  'nobody holds it, its image or class changed, and rollouts are paused': [
    { ready: 'idle' },
    ready,
    { ...kept, ownership: { ...alone, box: outdated }, rollout: rolloutsPaused },
  ],
  'it is leased, and the pacer is full': [{ ready: 'idle' }, ready, { ownership: alone, pacedUntil: now + 5_000 }],
  'it waits for a place': ['absent', {}, { admission: admissions[1] ?? { state: 'open' } }],
  'it waits for a place, and failed before': ['absent', failed, { admission: admissions[1] ?? { state: 'open' } }],
  'its class is more than all may have': ['absent', {}, { admission: admissions[2] ?? { state: 'open' } }],
  'it gave way to others': ['absent', { lastReap: { ...lastReap, cause: 'gave-way', message: 'it gave way' } }, idle],
  'it is in use under a pause': [{ ready: 'active' }, ready, { ownership: alone, mode: pauseMode }],
  'it ended under a pause': [{ ready: 'active' }, ready, { ownership: ended({ exitCode: 137 }), mode: pauseMode }],
  'somebody asks for one under a pause': ['absent', {}, { mode: pauseMode }],
  'nobody asks for one under a pause': ['absent', {}, { ...idle, mode: pauseMode }],
  'it is being made under a pause': [{ provisioning: 'creating' }, {}, { mode: pauseMode }],
  'it is being reaped under a pause': [
    { reaping: 'stopping' },
    draining,
    { ...idle, ownership: alone, mode: pauseMode },
  ],
  'the engine is down under a pause': [
    { ready: 'active' },
    ready,
    { engineDown: 'connection refused', mode: { ...pauseMode, reason: '' } },
  ],
  'somebody asks for one under a drain': ['absent', {}, { mode: drainMode }],
  'somebody asks for one under a drain, and it was reaped': ['absent', { lastReap }, { mode: drainMode }],
  'nobody asks for one under a drain': ['absent', {}, { ...idle, mode: drainMode }],
  'it is in use under a drain': [{ ready: 'active' }, ready, { ownership: alone, mode: drainMode }],
  'a foreign container has its name under a drain': ['absent', {}, { ownership: inTheWay, mode: drainMode }],
  'it was granted time': [
    { ready: 'idle' },
    { ...ready, keepUntil: now + 60_000, keepCause: 'amnesty: Redis was restarted' },
    { ...idle, ownership: alone },
  ],
  'its time is over right now': [{ ready: 'idle' }, { ...ready, keepUntil: now }, { ...kept, ownership: alone }],
  'its desired state was lost': [{ ready: 'idle' }, ready, { ...idle, ownership: alone, desired: null }],
  'it differs from its class': [
    { ready: 'active' },
    ready,
    { ownership: { ...alone, box: containerOf({ spec: { ...spec, cpus: 7, pids: 1 } }) } },
  ],
  'its spec cannot be read': [
    { ready: 'active' },
    ready,
    { ownership: { ...alone, box: containerOf({ spec: null }) } },
  ],
  'its class is gone, and it runs': [
    { ready: 'active' },
    ready,
    { ownership: alone, boxClass: null, spec: null, image: { state: 'unknown' } },
  ],
  'its class is gone': [
    'absent',
    {},
    { desired: desiredOf({ class: 'gone' }), boxClass: null, spec: null, image: { state: 'unknown' } },
  ],
  'its image is absent': ['absent', {}, wanted],
  'its image is being pulled': ['absent', {}, { image: { state: 'pulling', progress }, spec: null }],
  'its image is pulled for others': [
    { ready: 'active' },
    ready,
    { ownership: alone, image: { state: 'pulling', progress } },
  ],
  'its image must not be pulled': ['absent', {}, { image: { state: 'forbidden' }, spec: null }],
  'its image is not known': ['absent', {}, { image: { state: 'unknown' }, spec: null }],
  'its pull failed': [{ provisioning: 'pulling' }, {}, { ...wanted, last: fault('pull') }],
  'its pull brought nothing': [
    { provisioning: 'pulling' },
    {},
    { ...wanted, last: { command: 'pull', containerId: '', fault: null } },
  ],
  'it is made': ['absent', {}, {}],
  'its home is made': ['absent', {}, { home: { state: 'absent' } }],
  'its home is not seen': [
    { provisioning: 'creating' },
    {},
    { home: { state: 'absent' }, last: { command: 'ensure-home', containerId: '', fault: null } },
  ],
  "its home is root's": ['absent', {}, { home: { state: 'not-given' } }],
  "its home stays root's": [
    { provisioning: 'creating' },
    {},
    { home: { state: 'not-given' }, last: { command: 'ensure-home', containerId: '', fault: null } },
  ],
  "its home is another's": [
    { ready: 'active' },
    ready,
    { ownership: alone, home: { state: 'present', rightOwner: false } },
  ],
  'its home cannot be used': ['absent', {}, { home: { state: 'unusable', message: 'it is a link' } }],
  'it is started': ['absent', {}, { ownership: { ...alone, box: containerOf({ state: 'created' }) } }],
  'it is tried out': ['absent', {}, { ownership: alone }],
  'it is paused, and leased': ['absent', {}, { ownership: { ...alone, box: containerOf({ state: 'paused' }) } }],
  'it was paused by hand': [
    { ready: 'idle' },
    ready,
    { ...kept, ownership: { ...alone, box: containerOf({ state: 'paused' }) } },
  ],
  'it is restarted by the engine': [
    { ready: 'active' },
    ready,
    { ownership: { ...alone, box: containerOf({ state: 'restarting' }) } },
  ],
  'somebody removes it': ['absent', {}, { ownership: { ...alone, box: containerOf({ state: 'removing' }) } }],
  'it is dead': ['absent', {}, { ownership: { ...alone, box: containerOf({ state: 'dead' }) } }],
  'it is gone': [{ ready: 'active' }, ready, {}],
  'it ended': [{ ready: 'active' }, ready, { ownership: ended({ exitCode: 3 }) }],
  'it ended, nobody knows how': [{ ready: 'active' }, ready, { ownership: ended({}) }],
  'its program is not in the image': [{ ready: 'active' }, ready, { ownership: ended({ exitCode: 127 }) }],
  'its program is not in the image, nor its class known': [
    { ready: 'active' },
    ready,
    { boxClass: null, spec: null, image: { state: 'unknown' }, ownership: ended({ exitCode: 127 }) },
  ],
  'it wanted too much memory': [{ ready: 'active' }, ready, { ownership: ended({ exitCode: 137, oomKilled: true }) }],
  'its home could not be made': [{ provisioning: 'creating' }, {}, { last: fault('ensure-home') }],
  'it could not be created': [{ provisioning: 'creating' }, {}, { last: fault('create') }],
  'it could not be started': [{ provisioning: 'starting' }, {}, { ownership: ended({}), last: fault('start') }],
  'it could not be unpaused': [{ provisioning: 'starting' }, {}, { ownership: alone, last: fault('unpause') }],
  'it could not be tried out': [{ provisioning: 'probing' }, {}, { ownership: alone, last: fault('probe') }],
  'it failed, and waits': ['failed', failed, { ownership: alone }],
  'it could not be renamed': [{ ready: 'active' }, ready, { ownership: alone, last: fault('rename') }],
  'it could not be stopped': [
    { reaping: 'stopping' },
    { ...draining, attempts: 1 },
    { ...idle, ownership: alone, last: fault('stop') },
  ],
  'it could not be removed': [
    { reaping: 'removing' },
    { ...draining, attempts: 1 },
    { ...idle, ownership: ended({}), last: fault('remove') },
  ],
  'it could not be removed, and the time of the next try has come': [
    { reaping: 'removing' },
    { ...draining, attempts: 1, retryAt: now, reason: 'RemoveFailed', message: 'no' },
    { ...idle, ownership: ended({}) },
  ],
  'it is stopped': [{ ready: 'idle' }, ready, { ...idle, ownership: alone }],
  'it is removed': [{ reaping: 'stopping' }, draining, { ...idle, ownership: ended({}) }],
  'a foreign container has its name': ['absent', {}, { ownership: inTheWay }],
  'a foreign container has its name, and nobody asks': ['absent', {}, { ...idle, ownership: inTheWay }],
  'a foreign container is to be replaced': [
    'absent',
    {},
    { ownership: inTheWay, desired: desiredOf({ adoptContainerId: foreign.id }), foreignExecs: 1 },
  ],
  'a foreign container is to be replaced, and nobody asks': [
    'absent',
    {},
    { ...idle, ownership: inTheWay, desired: desiredOf({ adoptContainerId: foreign.id }), foreignExecs: 1 },
  ],
  'a foreign container has its name, and it runs': [{ ready: 'active' }, ready, { ownership: { ...alone, foreign } }],
  'its home was never measured, and has a quota': [{ ready: 'active' }, ready, homeOf(null)],
  'its home could not be measured': [{ ready: 'active' }, ready, homeOf({ usedBytes: null, problem: 'no du' })],
  'its home takes up all of its quota': [{ ready: 'active' }, ready, homeOf({ usedBytes: 20 * 1024 ** 3 })],
  'its home takes up more than its quota': [{ ready: 'active' }, ready, homeOf({ usedBytes: 20 * 1024 ** 3 + 1 })],
  'its home could not be read wholly': [{ ready: 'active' }, ready, homeOf({ isWhole: false })],
  'its home has no quota': [{ ready: 'active' }, ready, { ...homeOf({}), boxClass }],
  'the user is deleted': [
    'absent',
    {},
    { ...idle, desired: desiredOf({ generation: 9, reapGeneration: 9, deletedAt: now }) },
  ],
  'its vault is in its home': [{ ready: 'active' }, { ...ready, vault: written }, { ownership: alone, vault }],
  'its vault is being written': [
    { ready: 'active' },
    { ...ready, vault: written },
    { ownership: alone, vault: { revision: 8 } },
  ],
  'files of its vault were edited': [
    { ready: 'active' },
    { ...ready, vault: { ...written, applied: { revision: 7, drift, at: now - 3_000 } } },
    { ownership: alone, vault },
  ],
  'its vault cannot be opened': [
    { ready: 'active' },
    { ...ready, vault: { ...failedVault, reason: 'VaultUnreadable', message: 'the key 0a1b2c3d is missing' } },
    { ownership: alone, vault },
  ],
  'its vault cannot be written': [
    { ready: 'active' },
    { ...ready, vault: { ...failedVault, reason: 'VaultFailed', message: '.bashrc could not be written: no space' } },
    { ownership: alone, vault },
  ],
  'there is a vault, and no box': ['absent', {}, { ...idle, vault }],
  ...Object.fromEntries(
    (['idle', 'reap', 'recreate', 'deleted', 'adopt', 'stopped', 'duplicate', 'rollout'] as const).map((drainCause) => [
      `it is gone after ${drainCause}`,
      [{ reaping: 'removing' }, { ...draining, drainCause }, idle],
    ]),
  ),
};

function bodyIn([value, memory, found]: [StateValue, Partial<BoxContext>, Partial<Facts>]): StatusBody {
  const facts = factsOf(found);
  return statusBodyOf(planNext({ value, context: contextOf(memory) }, facts), facts, null);
}

function linesOf({ conditions, message, progress: pulled, observedGeneration }: StatusBody): string[] {
  return [
    message,
    ...conditions.map(({ type, status, reason, message: why }) => `${type} ${status} ${reason}: ${why}`),
    `of generation ${observedGeneration}`,
    ...(pulled === null ? [] : [`progress ${JSON.stringify(pulled)}`]),
  ];
}

test('every sentence that people read is the one that is written down', async () => {
  const usual = linesOf(bodyIn(situations['in use'] ?? ['absent', {}, {}]));
  const blocks = Object.entries(situations).map(([name, situation]) => {
    const lines = linesOf(bodyIn(situation));
    return [name, ...(name === 'in use' ? lines : lines.filter((line) => !usual.includes(line)))].join('\n  ');
  });
  await expect(`${blocks.join('\n')}\n`).toMatchFileSnapshot('./sentences.txt');
});

test('a condition keeps the time since when it is so, whatever its reason and words become', () => {
  const plan = planNext({ value: { ready: 'active' }, context: contextOf(ready) }, factsOf({ ownership: alone }));
  const before = conditionsOf(plan, factsOf({ ownership: alone }), []);
  expect(before.map(({ since }) => since)).toEqual(before.map(() => now));
  const later = factsOf({ ...kept, now: now + 1_000, ownership: alone });
  const since = new Map(conditionsOf(planNext(plan, later), later, before).map((each) => [each.type, each]));
  expect(since.get('Ready')).toMatchObject({ status: 'True', reason: 'Detached', since: now });
  expect(since.get('Idle')).toMatchObject({ status: 'True', since: now + 1_000 });
  expect(since.get('EngineReachable')).toMatchObject({ since: now });
});

test('what is said of a box hangs on its plan alone, where the engine answers', () => {
  const facts = factsOf({ ownership: alone, image: { state: 'present', id: imageId } });
  const plan = planNext({ value: { ready: 'active' }, context: contextOf(ready) }, facts);
  expect(messageOf(plan, facts)).toBe('in use');
  expect(statusBodyOf(plan, facts, null)).toMatchObject({ readyAt: now - 5_000, lastReap: null, step: 'active' });
});
