import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BoxView } from '#shared/api-schemas.ts';
import { boxNameOf, type UserName } from '#shared/identity.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { type Hands, handsOf } from '../support/docker.ts';
import { condition, releaseLease, seen, takeLease } from './fault-world.ts';
import { createInstallation, type Installation, ready, until } from './installation.ts';

/** What people do to boxes by hand, with `docker`, behind the controller's back. */

let installation: Installation;
let controller: ControllerProcess;
let hands: Hands;
beforeAll(async () => {
  installation = await createInstallation();
  controller = await installation.controller();
  hands = handsOf(installation.world.docker);
});
afterAll(() => installation[Symbol.asyncDispose]());

type Box = BoxView & { containerId: string };

async function boxOfNewUser(name: string): Promise<{ user: UserName; box: Box }> {
  const user = installation.newUser(name);
  await installation.world.makeHome(user);
  await takeLease(controller, user);
  return { user, box: await ready(controller, user) };
}

async function idleBoxOfNewUser(name: string): Promise<{ user: UserName; box: Box }> {
  const { user, box } = await boxOfNewUser(name);
  await releaseLease(controller, user);
  await seen(controller, user, 'is idle', ({ step }) => step === 'idle');
  return { user, box };
}

async function isRunning(user: UserName, containerId: string): Promise<void> {
  expect(await installation.containers(user)).toEqual([{ id: containerId, state: 'running' }]);
}

const container = (id: string) => installation.world.docker.docker.getContainer(id);

describe.concurrent('a box that somebody needs', () => {
  test('is made anew when it was removed by hand', async () => {
    const { user, box } = await boxOfNewUser('removed');
    await hands.removeByForce(box.containerId);
    const now = await seen(controller, user, 'has a new box', (b) => b.ready && b.containerId !== box.containerId);
    await isRunning(user, now.containerId ?? '');
  });

  test.each(['kill', 'stop'] as const)('is started again after a %s by hand', async (how) => {
    const { user, box } = await boxOfNewUser(how);
    const startedAt = await installation.startedAt(box.containerId);
    await container(box.containerId)[how]();
    await until('it runs anew', async () => (await installation.startedAt(box.containerId)) !== startedAt);
    await seen(controller, user, 'is ready', (b) => b.ready);
    await isRunning(user, box.containerId);
  });

  test('is ready again after a restart by hand', async () => {
    const { user, box } = await boxOfNewUser('restarted');
    const startedAt = await installation.startedAt(box.containerId);
    await container(box.containerId).restart();
    await until('it runs anew', async () => (await installation.startedAt(box.containerId)) !== startedAt);
    const now = await seen(controller, user, 'is ready', (b) => b.ready);
    await isRunning(user, now.containerId ?? '');
  });

  test('is unpaused when it was paused by hand', async () => {
    const { user, box } = await boxOfNewUser('paused');
    await hands.pause(box.containerId);
    await until('it is unpaused', async () => !(await container(box.containerId).inspect()).State.Paused);
    await seen(controller, user, 'is ready', (b) => b.ready && b.containerId === box.containerId);
  });

  test('gets its name back when it was renamed by hand', async () => {
    const { user, box } = await boxOfNewUser('renamed');
    const startedAt = await installation.startedAt(box.containerId);
    await hands.rename(box.containerId, `mine-${user}`);
    await until(
      'it has its name',
      async () => (await container(box.containerId).inspect()).Name === `/${boxNameOf(user)}`,
    );
    await seen(controller, user, 'is ready', (b) => b.ready && b.containerId === box.containerId);
    expect(await installation.startedAt(box.containerId)).toBe(startedAt);
  });

  test('tells that it ran out of memory, waits longer each time, and is back when that is over', async () => {
    const user = installation.newUser('oom');
    const home = join(installation.world.docker.workdir, 'homes', user);
    const { controller: greedy, end } = await greedyController(user);
    await takeLease(greedy, user, { class: 'greedy' });
    await ready(greedy, user);
    await writeFile(join(home, 'eat'), '');
    const failed = await seen(greedy, user, 'waits after it ran out of memory', (b) => b.why.some((w) => /next try in/.test(w)));
    expect(failed.phase).toBe('failed');
    expect(condition(failed, 'Ready')).toMatchObject({ status: 'False', reason: 'OutOfMemory' });
    expect(failed.message).toContain('out of memory');
    await hands.run(await anyContainer(), ['true']).catch(() => {});
    await end(join(home, 'eat'));
    await ready(greedy, user);
  });
});
