import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BoxView } from '#shared/api-schemas.ts';
import type { UserName } from '#shared/identity.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { condition, notReady, releaseLease, seen, takeLease, trusted } from './fault-world.ts';
import { boxOf, createInstallation, type EngineStory, type Installation, ready } from './installation.ts';

/** Redis goes, comes back, comes back empty or as it was before, under boxes that run. */

let installation: Installation;
let controller: ControllerProcess;
beforeAll(async () => {
  installation = await createInstallation();
  controller = await installation.controller();
});
afterAll(() => installation[Symbol.asyncDispose]());

type Box = BoxView & { containerId: string };

interface RunningBox {
  readonly user: UserName;
  readonly box: Box;
  readonly startedAt: string;
  readonly story: EngineStory;
}

async function runningBox(name: string, held: 'held' | 'idle'): Promise<RunningBox> {
  const user = installation.newUser(name);
  await installation.world.makeHome(user);
  await takeLease(controller, user);
  const box = await ready(controller, user);
  if (held === 'idle') {
    await releaseLease(controller, user);
    await seen(controller, user, 'is idle', ({ step }) => step === 'idle');
  }
  const startedAt = await installation.startedAt(box.containerId);
  return { user, box, startedAt, story: await installation.follow(user) };
}

async function untouched({ user, box, startedAt, story }: RunningBox): Promise<void> {
  expect(await installation.containers(user)).toEqual([{ id: box.containerId, state: 'running' }]);
  expect(await installation.startedAt(box.containerId)).toBe(startedAt);
  const done = story.happened.map(({ action }) => action).filter((action) => !action.startsWith('exec_'));
  expect(done).toEqual([]);
}

/** Kept by an amnesty for at least as long as a lost lease and the idle time of the class. */
async function keptByAmnesty({ user, box }: RunningBox): Promise<void> {
  const isKept = (b: BoxView): boolean => b.ready && b.why.some((why) => /amnesty/.test(why));
  const kept = await seen(controller, user, 'is kept by an amnesty', isKept);
  expect(kept.containerId).toBe(box.containerId);
  expect((kept.until ?? 0) - kept.now).toBeGreaterThan(25 * 60_000);
}

describe('while Redis is down', () => {
  test('the API says so, no box is touched, and everything goes on when it is back', async () => {
    const [held, idle] = await Promise.all([runningBox('held', 'held'), runningBox('idle', 'idle')]);
    await installation.world.redis.stop();
    expect(await notReady(controller)).toMatch(/Redis/);
    expect(await takeLease(controller, held.user)).toMatchObject({ status: 503, json: { code: 'redis-unavailable' } });
    expect(await controller.ask('GET', '/v1/boxes')).toMatchObject({ status: 503 });
    expect((await controller.ask('GET', '/healthz')).status).toBe(200);
    await installation.world.redis.restart();
    await trusted(controller);
    expect((await boxOf(controller, held.user)).leases).toMatchObject([{ id: 'job', holder: 'test' }]);
    expect(await boxOf(controller, held.user)).toMatchObject({ ready: true, containerId: held.box.containerId });
    expect(await boxOf(controller, idle.user)).toMatchObject({ step: 'idle', containerId: idle.box.containerId });
    await untouched(held);
    await untouched(idle);
    await runningBox('next', 'held');
  });
});

describe.each(['emptied', 'restarted with its data lost'])('after Redis was %s', (how) => {
  test('no box is reaped: all are kept by an amnesty, and a holder takes its lease again', async () => {
    const [held, idle] = await Promise.all([runningBox('held', 'held'), runningBox('idle', 'idle')]);
    const { redis } = installation.world;
    await (how === 'emptied' ? redis.flush() : redis.restore('none'));
    await keptByAmnesty(held);
    await keptByAmnesty(idle);
    await trusted(controller);

    const renewal = await controller.ask('POST', `/v1/boxes/${held.user}/leases/job/renew`, {});
    expect(renewal).toMatchObject({ status: 404, json: { code: 'lease-unknown' } });
    expect(await takeLease(controller, held.user)).toMatchObject({ status: 200, json: { ready: true } });
    const again = await seen(controller, held.user, 'is in use', ({ step }) => step === 'active');
    expect(again.containerId).toBe(held.box.containerId);
    await untouched(held);
    await untouched(idle);

    // Nothing latches: an operator's reap passes at once.
    await controller.ask('POST', `/v1/boxes/${idle.user}/actions`, { action: 'reap' });
    await seen(controller, idle.user, 'is absent', ({ phase }) => phase === 'absent');
  });
});

test('after Redis was restored from an older copy, the boxes that run stay as they are', async () => {
  const before = await runningBox('before', 'held');
  const gone = await runningBox('gone', 'held');
  await installation.world.redis.backUp();
  await controller.ask('POST', `/v1/boxes/${before.user}/actions`, { action: 'recreate' });
  const isNew = (b: BoxView): boolean => b.ready && b.containerId !== before.box.containerId;
  const renewed = await seen(controller, before.user, 'has a new box', isNew);
  const newId = renewed.containerId ?? '';
  const newStartedAt = await installation.startedAt(newId);
  const after = await runningBox('after', 'idle');
  await controller.ask('POST', `/v1/boxes/${gone.user}/actions`, { action: 'reap' });
  await seen(controller, gone.user, 'is absent', ({ phase }) => phase === 'absent');

  await installation.world.redis.restore('backup');
  await keptByAmnesty(after);
  await trusted(controller);
  await untouched(after);
  await seen(controller, before.user, 'is the box that runs', (b) => b.ready && b.containerId === newId);
  expect(await installation.containers(before.user)).toEqual([{ id: newId, state: 'running' }]);
  expect(await installation.startedAt(newId)).toBe(newStartedAt);
  // Its lease is back with the older copy: so is the box.
  await ready(controller, gone.user);
  const view = await boxOf(controller, after.user);
  expect(condition(view, 'Idle')).toMatchObject({ status: 'True', reason: 'Amnesty' });
});
