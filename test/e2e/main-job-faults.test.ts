import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { UserName } from '#shared/identity.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { handsOf } from '../support/docker.ts';
import { openShell, type Shell } from '../support/terminal-client.ts';
import {
  boxOf,
  createInstallation,
  type EngineStory,
  type Installation,
  isLeader,
  lease,
  ready,
  until,
} from './installation.ts';

/** What dies, dies without a word: boxes, and controllers in the middle of their work. */

const leaderTtlMs = 1_000;
const settings = { SPOON_LEADER_TTL_MS: String(leaderTtlMs) };

let installation: Installation;
beforeAll(async () => {
  installation = await createInstallation();
});
beforeEach(() => installation.gateway());
afterEach(() => installation.stopProcesses());
afterAll(() => installation[Symbol.asyncDispose]());

test('a box that is killed under an attached terminal heals by itself, and the terminal is told and gets a new shell', async () => {
  const controller = await installation.controller(settings);
  const user = installation.newUser('killed');
  const shell = await openShell(controller, user);
  const { containerId } = await shell.message('hello');
  await shell.run('echo kept > ~/note');
  await handsOf(installation.world.docker).kill(containerId);

  const notice = await shell.message('notice');
  expect(notice.code).toBe('box-gone');
  expect(notice.message).toContain('Only the home survives');
  const hello = await shell.message('hello', 1);
  expect(await shell.run('cat ~/note')).toEqual({ code: 0, output: 'kept' });
  expect(await ready(controller, user)).toMatchObject({ containerId: hello.containerId });
  expect(await installation.containers(user)).toEqual([{ id: hello.containerId, state: 'running' }]);
  await shell.detach();
});

test('kill -9 of the controller at any moment of a create leaves one container, ready after its restart', async () => {
  // Alone it need not fear another that takes over while it stalls, so its term may be short.
  const alone = { SPOON_LEADER_TTL_MS: '2000' };
  let controller = await installation.controller(alone);
  // So long after each other boxes are asked for: each kill finds four boxes at different steps.
  for (const apartMs of [15, 60, 140]) {
    const users = Array.from({ length: 4 }, () => installation.newUser('cut'));
    for (const user of users) {
      await lease(controller, user, 0);
      await wait(apartMs);
    }
    await controller.kill();

    controller = await installation.controller(alone);
    for (const user of users) {
      const { containerId } = await ready(controller, user);
      expect(await installation.containers(user)).toEqual([{ id: containerId, state: 'running' }]);
    }
  }
});

describe('two controllers', () => {
  test('one leads; when it is killed the other takes over, and neither box nor terminal notices', async () => {
    const { leader, standby } = await twoControllers();
    const user = installation.newUser('kept');
    const shell = await openShell(leader, user);
    const { containerId } = await shell.message('hello');
    const startedAt = await installation.startedAt(containerId);
    const story = await installation.follow(user);
    shell.type('i=0; while :; do i=$((i+1)); echo "tick $i."; sleep 0.05; done\n');
    await shell.sees('tick 5.');
    expect(await isLeader(standby)).toBe(false);

    await leader.kill();
    await until('the other leads', () => isLeader(standby));
    const seen = ticks(shell);
    await shell.sees(`tick ${seen.length + 20}.`);
    expect(ticks(shell)).toEqual(Array.from({ length: ticks(shell).length }, (_, at) => at + 1));
    const told = shell.messages.map(({ type }) => type).filter((type) => !['status', 'received'].includes(type));
    expect(told).toEqual(['hello']);

    // It does the work, too.
    await lease(standby, installation.newUser('after'));
    expect(await ready(standby, user)).toMatchObject({ containerId });
    expect(await installation.startedAt(containerId)).toBe(startedAt);
    expect(lifeSteps(story)).toEqual([]);
    shell.type('\u0003');
    await shell.detach();
  });

  test('a leader that was frozen in the middle of its work for longer than its term does nothing when it wakes', async () => {
    const { leader, standby } = await twoControllers();
    const users = Array.from({ length: 4 }, () => installation.newUser('frozen'));
    const stories = new Map<UserName, EngineStory>();
    for (const user of users) stories.set(user, await installation.follow(user));
    for (const user of users) {
      await lease(standby, user, 0);
      await wait(50);
    }
    leader.signal('SIGSTOP');
    await until('the other leads', () => isLeader(standby));
    const boxes = new Map<UserName, string>();
    for (const user of users) boxes.set(user, (await ready(standby, user)).containerId);

    leader.signal('SIGCONT');
    await until('the first one knows that it leads no more', () => leader.lines.join('\n').includes('leads no more'));
    expect(await isLeader(leader)).toBe(false);
    // One more round of the whole work, in which the first one could still do damage.
    await lease(standby, installation.newUser('next'));
    // Nobody took the lead from the other. On a slow machine it may lose it by itself, for a moment.
    expect(standby.lines.join('\n')).not.toContain(' leads now');
    for (const user of users) {
      const id = boxes.get(user);
      expect(await boxOf(leader, user)).toMatchObject({ phase: 'ready', containerId: id });
      expect(await installation.containers(user)).toEqual([{ id, state: 'running' }]);
      expect(stories.get(user)?.count('create')).toBe(1);
      expect(lifeSteps(stories.get(user))).toEqual(['create', 'start']);
    }
  });
});

async function twoControllers(): Promise<{ leader: ControllerProcess; standby: ControllerProcess }> {
  const leader = await installation.controller(settings);
  const standby = await installation.controller(settings, 'standby');
  await until(
    'the second one answers',
    async () => (await standby.ask('GET', '/readyz').catch(() => null))?.status === 200,
  );
  return { leader, standby };
}

/** The numbers that the shell has counted, as they came. */
function ticks(shell: Shell): number[] {
  return [...shell.text().matchAll(/^tick (\d+)\.\r$/gm)].map(([, count]) => Number(count));
}

/** What changed a container; execs, which happen in it, are left out. */
function lifeSteps(story: EngineStory | undefined): string[] {
  return (story?.happened ?? []).map(({ action }) => action).filter((action) => !action.startsWith('exec_'));
}
