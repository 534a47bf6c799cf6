import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BoxView } from '#shared/api-schemas.ts';
import { boxNameOf, type UserName } from '#shared/identity.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { type Hands, handsOf } from '../support/docker.ts';
import { classesFolder, condition, releaseLease, seen, takeLease } from './fault-world.ts';
import { createInstallation, type Installation, ready, until } from './installation.ts';

/** What people do to boxes by hand, with `docker`, behind the controller's back. */

/** PID 1 eats memory while there is a file `eat` in the home. */
const greedy = {
  limits: { memory: '32MiB', cpus: 1, pids: 64 },
  command: ['/bin/sh', '-c', 'trap "exit 0" TERM; while sleep 0.1; do [ -e eat ] && exec tail /dev/zero; done'],
};

let installation: Installation;
let controller: ControllerProcess;
let hands: Hands;
beforeAll(async () => {
  installation = await createInstallation();
  const classes = await classesFolder(join(installation.world.docker.workdir, 'classes'), { greedy });
  controller = await installation.controller({ SPOON_CLASSES: classes });
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
    await until('it has its name', async () => (await nameOf(box.containerId)) === boxNameOf(user));
    await seen(controller, user, 'is ready', (b) => b.ready && b.containerId === box.containerId);
    expect(await installation.startedAt(box.containerId)).toBe(startedAt);
  });

  test('tells that it ran out of memory, waits longer each time, and is back when that is over', async () => {
    const user = installation.newUser('oom');
    await installation.world.makeHome(user);
    const eat = join(installation.world.docker.workdir, 'homes', user, 'eat');
    await takeLease(controller, user, { class: 'greedy' });
    await ready(controller, user);
    await writeFile(eat, '');
    const failed = await seen(
      controller,
      user,
      'waits',
      (b) => b.phase === 'failed' && /next try in/.test(b.why[0] ?? ''),
    );
    expect(condition(failed, 'Ready')).toMatchObject({ status: 'False', reason: 'OutOfMemory' });
    expect(failed.message).toContain('out of memory');
    await rm(eat);
    await seen(controller, user, 'is ready', (b) => b.ready);
  });
});

describe.concurrent('a box that nobody holds', () => {
  test('is absent when it was removed by hand, and comes with the next lease', async () => {
    const { user, box } = await idleBoxOfNewUser('removed-idle');
    await hands.removeByForce(box.containerId);
    await seen(controller, user, 'is absent', (b) => b.phase === 'absent');
    expect(await installation.containers(user)).toEqual([]);
    await takeLease(controller, user);
    await ready(controller, user);
  });

  test.each(['kill', 'stop'] as const)('is removed after a %s by hand, and says so', async (how) => {
    const { user, box } = await idleBoxOfNewUser(`${how}-idle`);
    await container(box.containerId)[how]();
    const gone = await seen(controller, user, 'is absent', (b) => b.phase === 'absent');
    expect(await installation.containers(user)).toEqual([]);
    expect(gone.message).toMatch(/there is no box/);
    await takeLease(controller, user);
    await ready(controller, user);
  });

  test('settles after a restart by hand: either it runs, or it is gone', async () => {
    const { user, box } = await idleBoxOfNewUser('restarted-idle');
    const startedAt = await installation.startedAt(box.containerId);
    // The engine stops it first, and a box that does not run and is not needed is removed.
    await container(box.containerId)
      .restart()
      .catch((error: unknown) => expect(String(error)).toMatch(/No such container|marked for removal|is dead/));
    const after = await seen(controller, user, 'has settled', (b) => b.phase === 'absent' || b.step === 'idle');
    if (after.phase === 'absent') expect(await installation.containers(user)).toEqual([]);
    else {
      expect(await installation.startedAt(box.containerId)).not.toBe(startedAt);
      await isRunning(user, box.containerId);
    }
  });

  test('stays paused when it was paused by hand, says so, and a lease unpauses it', async () => {
    const { user, box } = await idleBoxOfNewUser('paused-idle');
    await hands.pause(box.containerId);
    const paused = await seen(controller, user, 'is paused', (b) => b.phase === 'failed');
    expect(condition(paused, 'ContainerReady')).toMatchObject({ status: 'False', reason: 'ContainerPaused' });
    expect(paused.message).toContain('a lease unpauses it');
    expect((await container(box.containerId).inspect()).State.Paused).toBe(true);
    await takeLease(controller, user);
    await seen(controller, user, 'is ready', (b) => b.ready && b.containerId === box.containerId);
    await isRunning(user, box.containerId);
  });

  test('is idle again when the hand that paused it unpauses it', async () => {
    const { user, box } = await idleBoxOfNewUser('unpaused-idle');
    await hands.pause(box.containerId);
    await seen(controller, user, 'is paused', (b) => b.phase === 'failed');
    await container(box.containerId).unpause();
    await seen(controller, user, 'is idle', (b) => b.step === 'idle' && b.containerId === box.containerId);
  });

  test('gets its name back when it was renamed by hand', async () => {
    const { user, box } = await idleBoxOfNewUser('renamed-idle');
    await hands.rename(box.containerId, `mine-${user}`);
    await until('it has its name', async () => (await nameOf(box.containerId)) === boxNameOf(user));
    await seen(controller, user, 'is idle', (b) => b.step === 'idle' && b.containerId === box.containerId);
    await isRunning(user, box.containerId);
  });
});

describe('a second container of ours', () => {
  // The box that runs is all that a pass asks for: second ones are found when everything is looked at.
  let often: Installation;
  let looking: ControllerProcess;
  beforeAll(async () => {
    often = await createInstallation();
    looking = await often.controller({ SPOON_RESYNC_MS: '1000' });
  });
  afterAll(() => often[Symbol.asyncDispose]());

  test.each(['created', 'running'])('that is %s is removed; the one in use stays', async (how) => {
    const user = often.newUser(`twin-${how}`);
    await often.world.makeHome(user);
    await takeLease(looking, user);
    const box = await ready(looking, user);
    const startedAt = await often.startedAt(box.containerId);
    const { docker } = often.world.docker;
    const { Config, HostConfig } = await docker.getContainer(box.containerId).inspect();
    const twin = await docker.createContainer({ ...Config, HostConfig, name: `twin-of-${user}` });
    if (how === 'running') await twin.start();
    await until('one is left', async () => (await often.containers(user)).length === 1);
    expect(await often.containers(user)).toEqual([{ id: box.containerId, state: 'running' }]);
    expect(await often.startedAt(box.containerId)).toBe(startedAt);
    await seen(looking, user, 'is ready', (b) => b.ready && b.containerId === box.containerId);
  });
});

describe.concurrent('a container that looks like a box', () => {
  test('is left alone when it was made from an image that was committed from a box', async () => {
    const { user, box } = await boxOfNewUser('committed');
    const { docker, installation: id } = installation.world.docker;
    const repo = `spoonbox-test/committed-${id}`;
    await container(box.containerId).commit({ repo });
    try {
      const labels = (await docker.getImage(repo).inspect()).Config.Labels;
      expect(labels['dev.spoonbox.installation']).toBe(id);
      const theirs = await docker.createContainer({ Image: repo, name: `theirs-${user}`, HostConfig: { Init: true } });
      await theirs.start();
      const startedAt = await installation.startedAt(theirs.id);
      // Whatever makes passes happen: a reap, a new box, a delete.
      await controller.ask('POST', `/v1/boxes/${user}/actions`, { action: 'recreate' });
      await seen(controller, user, 'has a new box', (b) => b.ready && b.containerId !== box.containerId);
      await controller.ask('DELETE', `/v1/boxes/${user}`);
      await until(
        'nothing is known of the user',
        async () => (await controller.ask('GET', `/v1/boxes/${user}`)).status === 404,
      );
      expect((await theirs.inspect()).State).toMatchObject({ Running: true, StartedAt: startedAt });
      await theirs.remove({ force: true });
    } finally {
      await docker.getImage(repo).remove({ force: true });
    }
  });

  test('is left alone when it is not ours; the box comes when the name is free', async () => {
    const user = installation.newUser('foreign');
    await installation.world.makeHome(user);
    const foreign = await runForeign(user);
    await takeLease(controller, user);
    const waiting = await seen(controller, user, 'has no name', (b) => b.phase === 'failed');
    expect(condition(waiting, 'NameTaken')).toMatchObject({ status: 'True', reason: 'ForeignContainer' });
    expect(waiting.message).toContain(foreign.slice(0, 12));
    expect(waiting.message).toContain('adopt');
    expect((await container(foreign).inspect()).State.Running).toBe(true);
    await hands.rename(foreign, `theirs-${user}`);
    const box = await ready(controller, user);
    expect(condition(box, 'NameTaken')).toMatchObject({ status: 'False', reason: 'NameFree' });
    expect((await container(foreign).inspect()).State.Running).toBe(true);
  });

  test('is replaced after `adopt` once nothing is executed in it; the home stays', async () => {
    const user = installation.newUser('adopted');
    await installation.world.makeHome(user);
    const note = join(installation.world.docker.workdir, 'homes', user, 'note');
    await writeFile(note, 'kept');
    const foreign = await runForeign(user);
    await hands.startExec(foreign, ['sh', '-c', 'until [ -e /tmp/done ]; do sleep 0.1; done']);
    await takeLease(controller, user);
    await seen(controller, user, 'has no name', (b) => b.phase === 'failed');
    const wish = { action: 'adopt', containerId: foreign };
    expect((await controller.ask('POST', `/v1/boxes/${user}/actions`, wish)).status).toBe(202);
    const waiting = await seen(controller, user, 'waits for the exec', (b) =>
      b.conditions.some(({ reason }) => reason === 'AdoptRequested'),
    );
    expect(waiting.message).toContain('once no command runs in it');
    expect((await container(foreign).inspect()).State.Running).toBe(true);
    await hands.run(foreign, ['touch', '/tmp/done']);
    const box = await ready(controller, user);
    expect(await hands.run(box.containerId, ['cat', 'note'])).toEqual({ exitCode: 0, output: 'kept' });
    await expect(container(foreign).inspect()).rejects.toThrow('No such container');
  });

  test('is replaced at once after `adopt` with `now`, whatever runs in it', async () => {
    const user = installation.newUser('adopted-now');
    await installation.world.makeHome(user);
    const foreign = await runForeign(user);
    await hands.startExec(foreign, ['sleep', '600']);
    await takeLease(controller, user);
    await seen(controller, user, 'has no name', (b) => b.phase === 'failed');
    await controller.ask('POST', `/v1/boxes/${user}/actions`, { action: 'adopt', containerId: foreign, now: true });
    const box = await ready(controller, user);
    await isRunning(user, box.containerId);
  });
});

async function nameOf(id: string): Promise<string> {
  return (await container(id).inspect()).Name.slice(1);
}

async function runForeign(user: UserName): Promise<string> {
  const id = await hands.createForeign(boxNameOf(user));
  await container(id).start();
  return id;
}
