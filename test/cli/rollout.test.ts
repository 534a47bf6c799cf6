import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BoxList, BoxView, EventList } from '#shared/api-schemas.ts';
import { RolloutPause } from '#shared/operator-schemas.ts';
import { type ClassRollout, type ImagePull, PullsAsked, RolloutView } from '#shared/rollout.ts';
import type { z } from 'zod';
import { type CliRun, runCli } from './cli-run.ts';
import { type FakeApi, startFakeApi } from './fake-api.ts';

const now = 1_700_000_000_000;
const pause = { paused: false, reason: '', by: '', since: 0 };
const boxClass: z.input<typeof RolloutView>['classes'][number] = {
  ...{ class: 'default', image: 'r.example/box:1', imageId: `sha256:${'a'.repeat(64)}`, pullPolicy: 'Always' },
  upToDate: 3,
  waiting: [
    { user: 'alice', fields: ['imageId', 'memoryBytes'], heldBy: ['terminal lease of alice'] },
    { user: 'bob', fields: ['imageId'], heldBy: [] },
  ],
  replacing: ['cid'],
};
const mode = { mode: 'run' as const, reason: '', by: '', since: 0 };
const view = { now, mode, pause, pulls: null, classes: [boxClass] };
const pulled = (changes: Partial<ImagePull> = {}) => ({
  ...{ askedAt: 7, ended: true, by: 'ops' },
  images: [{ image: 'r.example/box:1', state: 'pulled' as const, progress: null, message: '', ...changes }],
});

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
  api.answer('GET /v1/rollout', RolloutView, view);
  api.answer('GET /v1/boxes', BoxList, { items: [boxOf('alice'), boxOf('bob')] });
  api.answer('POST /v1/rollout/pulls', PullsAsked, { askedAt: 7 });
});
afterEach(() => api[Symbol.asyncDispose]());
const run = (...args: string[]): Promise<CliRun> => runCli(['rollout', ...args], { server: api.url, token: 'token' });
const sent = () =>
  api.asked.filter(({ method }) => method !== 'GET').map(({ method, path, body }) => [method, path, body]);

describe('status', () => {
  test('tells of each class what is new, and for whom each box waits', async () => {
    const { out, code } = await run('status');
    expect(code).toBe(0);
    expect(out).toMatch(/^default +r\.example\/box:1 +aaaaaaaaaaaa +3 +2 +1 \(cid\)$/m);
    expect(out).toMatch(/^alice +default +imageId, memoryBytes +terminal lease of alice$/m);
    expect(out).toMatch(/^bob +default +imageId +its turn$/m);
  });

  test('says that rollouts are paused, by whom and why, and how the last pulls went', async () => {
    const failed = pulled({ state: 'failed', message: 'unauthorized' });
    const paused = { paused: true, reason: 'a release', by: 'ops', since: now - 60_000 };
    const classes: ClassRollout[] = [];
    api.answer('GET /v1/rollout', RolloutView, { ...view, pause: paused, pulls: failed, classes });
    const { out } = await run('status');
    expect(out).toMatch(/^paused by ops \(a release\), /);
    expect(out).toMatch(/^pulled again for ops, .*: r\.example\/box:1 could not be pulled: unauthorized$/m);
  });

  test.each(['pause', 'drain'] as const)(
    'says that nothing is replaced while the reconciler is in mode %s',
    async (of) => {
      const held = { mode: of, reason: 'disk', by: 'ops', since: now - 60_000 };
      api.answer('GET /v1/rollout', RolloutView, { ...view, mode: held });
      const { out } = await run('status');
      expect(out).toMatch(new RegExp(`^nothing is replaced: the reconciler is in mode ${of} by ops \\(disk\\), `));
      expect(out).toMatch(new RegExp(`^bob +default +imageId +the end of mode ${of}$`, 'm'));
    },
  );

  test('answers as the API does with -o json', async () => {
    expect(JSON.parse((await run('status', '-o', 'json')).out)).toEqual(view);
  });
});

test('pause and resume are sent, with the reason', async () => {
  api.answer('PUT /v1/rollout/pause', RolloutPause, pause);
  expect((await run('pause', '--reason', 'a release')).out).toContain('until `spoonbox rollout resume`');
  expect((await run('resume')).code).toBe(0);
  expect(sent()).toEqual([
    ['PUT', '/v1/rollout/pause', { paused: true, reason: 'a release' }],
    ['PUT', '/v1/rollout/pause', { paused: false }],
  ]);
});

describe('now', () => {
  test('has the images pulled, and leaves boxes that are held to their holders', async () => {
    api.answer('GET /v1/rollout', RolloutView, { ...view, pulls: pulled() });
    const { out, code } = await run('now');
    expect(code).toBe(0);
    expect(out).toContain('r.example/box:1 is as the registry has it');
    expect(out).toContain('2 of the boxes are of before');
    expect(sent()).toEqual([['POST', '/v1/rollout/pulls', null]]);
  });

  test('ends with 1 where an image could not be pulled, and says why', async () => {
    const message = 'unauthorized (registry r.example was asked as bob, by /root/.docker/config.json)';
    api.answer('GET /v1/rollout', RolloutView, { ...view, pulls: pulled({ state: 'failed', message }) });
    const { out, code } = await run('now');
    expect([code, out.split('\n')[0]]).toEqual([1, `r.example/box:1 could not be pulled: ${message}`]);
  });

  test('--force makes every box anew that is of before, and names who holds it', async () => {
    api.answer('GET /v1/rollout', RolloutView, { ...view, pulls: pulled() });
    for (const user of ['alice', 'bob']) api.answer(`POST /v1/boxes/${user}/actions`, BoxView, boxOf(user));
    const { out, err } = await run('now', '--force', '--yes');
    expect(err).toContain('alice: held by terminal lease of alice');
    expect(err).toContain('bob: nobody holds it');
    expect(out).toContain('the box of bob is made anew');
    expect(sent().slice(1)).toEqual(
      ['alice', 'bob'].map((user) => ['POST', `/v1/boxes/${user}/actions`, { action: 'recreate' }]),
    );
  });

  test('--force goes on where one box cannot be made anew, and ends with 1', async () => {
    api.answer('GET /v1/rollout', RolloutView, { ...view, pulls: pulled() });
    api.answer('POST /v1/boxes/bob/actions', BoxView, boxOf('bob'));
    const { out, err, code } = await run('now', '--force', '--yes');
    expect(code).toBe(1);
    expect(err).toContain('the box of alice is not made anew: no POST /v1/boxes/alice/actions here');
    expect(out).toContain('the box of bob is made anew');
  });

  test('--force makes anew what was shown: who was given something else meanwhile is left alone, and it says by whom', async () => {
    api.answer('GET /v1/rollout', RolloutView, { ...view, pulls: pulled() });
    const wanted = { class: 'default', generation: 7, lastActivityAt: 0, lastActivityCause: '', lastInputAt: 0 };
    const of = { reapGeneration: 0, recreateGeneration: 0, adoptContainerId: '', adoptAtOnce: false, deletedAt: null };
    const items = [{ ...boxOf('alice'), desired: { ...wanted, ...of } }, boxOf('bob')];
    api.answer('GET /v1/boxes', BoxList, { items });
    api.refuse('POST /v1/boxes/alice/actions', 'precondition-failed', 'it is of generation 8 now');
    api.answer('POST /v1/boxes/bob/actions', BoxView, boxOf('bob'));
    const event = { id: '2-0', at: now, reason: 'Wish', message: 'recreate asked for by ann', by: 'ann' };
    api.answer('GET /v1/boxes/alice/events', EventList, { items: [{ ...event, id: '3-0', reason: 'Step' }, event] });
    const { err, code } = await run('now', '--force', '--yes');
    expect(api.asked.flatMap(({ ifMatch }) => ifMatch ?? [])).toEqual(['"7"', '"0"']);
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(
        /alice is not made anew: it was changed meanwhile \(recreate asked for by ann\): look again/,
      ),
    ]);
  });

  test('does not wait for a round that Redis has lost', async () => {
    const { code, err } = await run('now');
    expect([code, err.trim()]).toEqual([1, expect.stringContaining('Redis lost what was asked for')]);
  });
});

test.each([[['status', '--force']], [['now', '--reason', 'x']], [['begin']], [[]]])(
  '`rollout %s` is wrong usage, and nothing is sent',
  async (args) => {
    expect((await run(...args)).code).toBe(2);
    expect(api.asked).toEqual([]);
  },
);

function boxOf(user: string): z.input<typeof BoxView> {
  return {
    ...{ user, now, phase: 'reaping', step: 'stopping', message: '', ready: false, class: 'default' },
    ...{ containerId: null, readyAt: null, until: 0, why: [], progress: null, conditions: [] },
    ...{ leases: [], endedLeases: [], sessions: [], desired: null, lastReap: null },
  };
}
