import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { EventList, LeaseReply } from '#shared/api-schemas.ts';
import { boxNameOf, InstallationId, networkNameOf, UserName } from '#shared/identity.ts';
import { BoxStats, PlanList, PlanView, ReconcilerView, StatsList } from '#shared/operator-schemas.ts';
import { Problem } from '#shared/problem.ts';
import { specOf } from '../../controller/src/box/spec.ts';
import { simUse } from '../support/sim-runtime.ts';
import { type ApiWorld, createApiWorld, testClasses, token, until } from './api-world.ts';

let world: ApiWorld;
beforeAll(async () => {
  world = await createApiWorld();
  world.runtime.engine.images.set('spoonbox/default:latest', imageId);
  world.runtime.engine.networks.add(network);
});
afterEach(() => world.ask('PUT', '/v1/reconciler/mode', { body: { mode: 'run' } }));
afterAll(() => world.close());

const imageId = 'sha256:image';
const installation = InstallationId.parse('test');
const network = networkNameOf(installation);
const job = { kind: 'job', holder: 'agent-7', ttlMs: 60_000 };
const lease = async (user: string) =>
  LeaseReply.parse((await world.ask('PUT', `/v1/boxes/${user}/leases/j1`, { body: job })).json);
const codeOf = (answer: { status: number; json: unknown }) => [answer.status, Problem.parse(answer.json).code];
const setMode = (body: unknown) => world.ask('PUT', '/v1/reconciler/mode', { body });

/** A box of ours on the engine; answers its container's id. */
function box(user: string, isRunning: boolean): string {
  const boxClass = testClasses.get('default');
  if (boxClass === undefined) throw new Error('there is no default class');
  const name = UserName.parse(user);
  const spec = specOf({ user: name, boxClass, imageId, homesDir: '/homes', network });
  const labels = { installation, role: 'box', user, generation: 1 };
  const { engine } = world.runtime;
  const { id } = engine.create('test', { name: boxNameOf(name), ...labels, imageId, spec });
  if (isRunning) engine.start('test', id);
  return id;
}

describe('the reconciler', () => {
  test('tells its mode, who leads, and that this process does not', async () => {
    const view = ReconcilerView.parse((await world.ask('GET', '/v1/reconciler')).json);
    expect(view).toMatchObject({ mode: { mode: 'run' }, leader: { holder: 'test', isThis: false }, loop: null });
    expect(view.leader.lastBeatAt).toBeLessThanOrEqual(view.now);
  });

  test('is drained, paused and let run again, with who and why', async () => {
    const before = ReconcilerView.parse((await world.ask('GET', '/v1/reconciler')).json);
    const answer = await setMode({ mode: 'drain', reason: 'the disk is changed' });
    expect(answer.status).toBe(200);
    const { mode, now } = ReconcilerView.parse(answer.json);
    expect(mode).toMatchObject({ mode: 'drain', reason: 'the disk is changed', by: 'internal token' });
    expect(mode.since).toBeGreaterThanOrEqual(before.now);
    expect(mode.since).toBeLessThanOrEqual(now);
    await setMode({ mode: 'pause' });
    const { mode: later } = ReconcilerView.parse((await world.ask('GET', '/v1/reconciler')).json);
    expect(later).toMatchObject({ mode: 'pause', reason: '' });
  });

  test('takes a mode only where it is as it was read, if that is asked for', async () => {
    const put = async (mode: string, tag: string) =>
      await world.ask('PUT', '/v1/reconciler/mode', { body: { mode }, headers: { 'if-match': tag } });
    const read = (await world.ask('GET', '/v1/reconciler')).headers.get('etag') ?? '';
    const drained = await put('drain', read);
    expect(drained.status).toBe(200);
    const refused = await put('pause', read);
    expect(codeOf(refused)).toEqual([412, 'precondition-failed']);
    expect(Problem.parse(refused.json).detail).toContain('the mode is drain, internal token set it at ');
    expect(ReconcilerView.parse((await world.ask('GET', '/v1/reconciler')).json).mode.mode).toBe('drain');
    expect((await put('pause', `"1", W/${drained.headers.get('etag')}`)).status).toBe(200);
    expect((await put('run', '*')).status).toBe(200);
    for (const wrong of ['1', '"x"', '""']) expect(codeOf(await put('pause', wrong))).toEqual([400, 'request-invalid']);
    expect((await put('run', '*')).status).toBe(200);
  });

  test.each([
    [{ mode: 'stop' }],
    [{}],
    [{ mode: 'drain', reason: '' }],
    [{ mode: 'drain', reason: 'two\nlines' }],
    [{ mode: 'drain', reason: 'x'.repeat(201) }],
    [{ mode: 'drain', by: 'me' }],
    ['drain'],
    [null],
  ])('%j is refused as a mode, and changes none', async (body) => {
    expect(codeOf(await world.ask('PUT', '/v1/reconciler/mode', { raw: JSON.stringify(body) }))).toEqual([
      400,
      'request-invalid',
    ]);
    expect(ReconcilerView.parse((await world.ask('GET', '/v1/reconciler')).json).mode.mode).toBe('run');
  });
});

describe('who waits for a box', () => {
  const conditions = (reason: 'Drained' | 'Paused', message: string) => [
    { type: 'Ready' as const, status: 'False' as const, reason, message, since: 1 },
  ];

  test('is told that the installation is drained, as the status has it', async () => {
    await lease('dee');
    const message = 'no new boxes are made: drained by ops (the disk is changed)';
    await world.commit('dee', { phase: 'absent', message, conditions: conditions('Drained', message) });
    const reply = await lease('dee');
    expect(reply).toMatchObject({ ready: false, waitsFor: message });
    expect(reply.box.why).toContain(`waits: ${message}`);
  });

  test('is not let into a box that ended under a pause, though its phase is ready still', async () => {
    await lease('pia');
    await world.commit('pia', { phase: 'ready', containerId: 'c1', message: 'in use' });
    expect((await lease('pia')).ready).toBe(true);
    const message = 'the reconciler is paused by ops; nothing is done until it runs again';
    await world.commit('pia', {
      phase: 'ready',
      containerId: 'c1',
      message,
      conditions: conditions('Paused', message),
    });
    expect(await lease('pia')).toMatchObject({ ready: false, waitsFor: message, box: { phase: 'ready' } });
  });
});

describe('a plan', () => {
  test('says what the next pass would do, and changes nothing', async () => {
    await lease('ann');
    const before = (await world.ask('GET', '/v1/boxes/ann/events')).text;
    const plan = PlanView.parse((await world.ask('GET', '/v1/boxes/ann/plan')).json);
    expect(plan).toMatchObject({
      ...{ user: 'ann', phase: 'absent', next: { phase: 'provisioning', step: 'creating' } },
      ...{ command: 'ensure-home', does: 'make the home of ann for user id 1000', nextLookMs: 0 },
      rule: "there is no home yet, or it is root's: make it the user's",
    });
    world.runtime.homes.set('ann', 1000);
    const { does } = PlanView.parse((await world.ask('GET', '/v1/boxes/ann/plan')).json);
    expect(does).toBe('create spoon-box-ann from spoonbox/default:latest');
    expect(world.runtime.engine.containers.size).toBe(0);
    expect((await world.ask('GET', '/v1/boxes/ann/events')).text).toBe(before);
  });

  test('says so where an operator lets nothing be done', async () => {
    await lease('max');
    await setMode({ mode: 'pause', reason: 'upgrade' });
    expect(PlanView.parse((await world.ask('GET', '/v1/boxes/max/plan')).json)).toMatchObject({
      ...{ command: 'none', does: '', nextLookMs: null, rule: 'an operator paused the reconciler: nothing is done' },
      message: 'the reconciler is paused by internal token (upgrade); nothing is done until it runs again',
    });
  });

  test('of all has everybody who is known or has a box of ours, by name', async () => {
    await lease('zoe');
    const id = box('lost', true);
    const { items } = PlanList.parse((await world.ask('GET', '/v1/plan')).json);
    const users: string[] = items.map(({ user }) => user);
    expect(users).toEqual(users.toSorted());
    expect(items).toContainEqual(expect.objectContaining({ user: 'zoe', command: 'ensure-home' }));
    const found = items.find(({ user }) => user === 'lost');
    expect(found?.does).toBe(`try out spoon-box-lost (${id.slice(0, 12)})`);
  });

  test('that fails for a reason of ours is not blamed on Redis', async () => {
    await lease('bug');
    const looks = vi.spyOn(world.runtime, 'observe').mockRejectedValue(new TypeError('a defect'));
    try {
      expect(codeOf(await world.ask('GET', '/v1/boxes/bug/plan'))).toEqual([500, 'internal']);
    } finally {
      looks.mockRestore();
    }
  });

  test('whose asker goes away before it is made is no failure', async () => {
    await lease('gone');
    const looks = vi.spyOn(world.runtime, 'observe').mockImplementation(async (_user, _how, signal) => {
      asker.abort();
      await once(signal, 'abort');
      throw signal.reason;
    });
    const failures = () => world.logged.filter((line) => line.includes('"route":"/v1/boxes/:user/plan"'));
    const before = failures();
    const asker = new AbortController();
    const ask = fetch(`${world.url}/v1/boxes/gone/plan`, {
      headers: { authorization: `Bearer ${token}` },
      signal: asker.signal,
    });
    try {
      await expect(ask).rejects.toThrow();
      const lines = () => world.logged.filter((line) => line.includes('boxes/gone/plan'));
      await until(() => lines().length > 0, 'the request is logged');
      // What is answered to nobody is logged after the line of the request, if at all.
      await world.ask('GET', '/v1/classes');
      expect(failures()).toEqual(before);
    } finally {
      looks.mockRestore();
    }
  });

  test('of a user of whom nothing is known is a 404, and asking does not make them known', async () => {
    expect(codeOf(await world.ask('GET', '/v1/boxes/nobody/plan'))).toEqual([404, 'box-unknown']);
    expect(codeOf(await world.ask('GET', '/v1/boxes/nobody'))).toEqual([404, 'box-unknown']);
    expect(codeOf(await world.ask('GET', '/v1/boxes/no..body/plan'))).toEqual([400, 'user-invalid']);
    expect((await world.ask('GET', '/v1/plan?user=ann')).status).toBe(400);
  });
});

describe('usage', () => {
  test('of a box that runs is told, with its limits', async () => {
    await lease('eva');
    box('eva', true);
    const found = await world.ask('GET', '/v1/boxes/eva/stats');
    const use = {
      user: 'eva',
      cpusLimit: 2,
      memoryBytes: simUse.memoryBytes,
      memoryLimitBytes: 4 * 1024 ** 3,
      pids: 1,
    };
    expect(BoxStats.parse(found.json)).toMatchObject(use);
    const { now, items } = StatsList.parse((await world.ask('GET', '/v1/stats')).json);
    expect(now).toBeGreaterThan(0);
    expect(items).toContainEqual(expect.objectContaining(use));
  });

  test('of a box that does not run there is none', async () => {
    await lease('ole');
    expect(codeOf(await world.ask('GET', '/v1/boxes/ole/stats'))).toEqual([409, 'box-not-running']);
    expect(codeOf(await world.ask('GET', '/v1/boxes/nobody/stats'))).toEqual([404, 'box-unknown']);
  });
});

test('an event without an edge says so', async () => {
  await lease('ivy');
  const { items } = EventList.parse((await world.ask('GET', '/v1/boxes/ivy/events')).json);
  expect(items.map(({ reason, edge }) => [reason, edge])).toEqual([['LeaseTaken', null]]);
});
