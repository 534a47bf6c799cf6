import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BoxView } from '#shared/api-schemas.ts';
import type { UserName } from '#shared/identity.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { handsOf } from '../support/docker.ts';
import { createOwnEngine, type OwnEngine, whyNoOwnEngine } from '../support/own-engine.ts';
import { condition, releaseLease, seen, takeLease } from './fault-world.ts';
import { createInstallation, type Installation, ready } from './installation.ts';

/** The engine itself goes, comes back, and has no room left: on a dockerd of this file's own. */

const why = whyNoOwnEngine();
if (why !== null) process.stderr.write(`test/e2e/faults-engine.test.ts is skipped: ${why}\n`);

type Box = BoxView & { containerId: string };

describe.skipIf(why !== null)('an engine', () => {
  let engine: OwnEngine;
  let installation: Installation;
  let controller: ControllerProcess;
  beforeAll(async () => {
    engine = await createOwnEngine();
    installation = await createInstallation(engine.address);
    controller = await installation.controller();
  });
  afterAll(async () => {
    await installation[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  async function boxOfNewUser(name: string, held: 'held' | 'idle'): Promise<{ user: UserName; box: Box }> {
    const user = installation.newUser(name);
    await installation.world.makeHome(user);
    await takeLease(controller, user);
    const box = await ready(controller, user);
    if (held === 'idle') {
      await releaseLease(controller, user);
      await seen(controller, user, 'is idle', ({ step }) => step === 'idle');
    }
    return { user, box };
  }

  async function isUnreachable(user: UserName): Promise<void> {
    const box = await seen(
      controller,
      user,
      'has no engine',
      (b) => condition(b, 'EngineReachable').status === 'False',
    );
    expect(condition(box, 'EngineReachable').reason).toBe('EngineUnreachable');
    expect(condition(box, 'Ready')).toMatchObject({ status: 'Unknown', reason: 'EngineUnreachable' });
    expect(box.message).toContain('the container engine does not answer');
  }

  const reachable = (b: BoxView): boolean => condition(b, 'EngineReachable').status === 'True';

  test.each(['stopped', 'killed'] as const)(
    'that was %s took its boxes with it: those somebody needs come back, the others go',
    async (how) => {
      const held = await boxOfNewUser('held', 'held');
      const idle = await boxOfNewUser('idle', 'idle');
      const note = join(installation.world.docker.workdir, 'homes', idle.user, 'note');
      await writeFile(note, 'kept');
      await (how === 'stopped' ? engine.stop() : engine.kill());
      await isUnreachable(held.user);
      await isUnreachable(idle.user);
      const late = installation.newUser('late');
      await installation.world.makeHome(late);
      expect(await takeLease(controller, late)).toMatchObject({ status: 200, json: { ready: false } });
      await isUnreachable(late);

      await engine.start();
      const isBack = (b: BoxView): boolean => b.ready && reachable(b);
      await seen(controller, held.user, 'is back', isBack);
      await seen(controller, late, 'is ready', isBack);
      await seen(controller, idle.user, 'is absent', (b) => b.phase === 'absent' && reachable(b));
      expect(await installation.containers(held.user)).toMatchObject([{ state: 'running' }]);
      expect(await installation.containers(late)).toMatchObject([{ state: 'running' }]);
      expect(await installation.containers(idle.user)).toEqual([]);

      await takeLease(controller, idle.user);
      const again = await ready(controller, idle.user);
      const home = handsOf(installation.world.docker);
      expect(await home.run(again.containerId, ['cat', 'note'])).toEqual({ exitCode: 0, output: 'kept' });
    },
  );

  test('with live restore may be killed without any box noticing', async () => {
    await engine.stop();
    await engine.start({ liveRestore: true });
    try {
      const held = await boxOfNewUser('live-held', 'held');
      const idle = await boxOfNewUser('live-idle', 'idle');
      const startedAt = await Promise.all([held, idle].map(({ box }) => installation.startedAt(box.containerId)));
      await engine.kill();
      await isUnreachable(held.user);
      await isUnreachable(idle.user);
      await engine.start({ liveRestore: true });
      const isSame = (box: Box) => (b: BoxView) => b.ready && reachable(b) && b.containerId === box.containerId;
      await seen(controller, held.user, 'is as it was', isSame(held.box));
      await seen(controller, idle.user, 'is as it was', isSame(idle.box));
      expect(await Promise.all([held, idle].map(({ box }) => installation.startedAt(box.containerId)))).toEqual(
        startedAt,
      );
      for (const { user, box } of [held, idle]) {
        expect(await installation.containers(user)).toEqual([{ id: box.containerId, state: 'running' }]);
      }
    } finally {
      await engine.stop();
      await engine.start();
    }
  });

  test('without room on its disk is told in its own words, and the box comes when there is room', async () => {
    const before = await boxOfNewUser('before', 'held');
    const user = installation.newUser('no-room');
    await installation.world.makeHome(user);
    await engine.fillDisk();
    await takeLease(controller, user);
    const isWaiting = (b: BoxView): boolean => b.phase === 'failed' && /; next try in /.test(b.why[0] ?? '');
    const failed = await seen(controller, user, 'waits for room', isWaiting);
    expect(condition(failed, 'Ready')).toMatchObject({ status: 'False', reason: 'CreateFailed' });
    expect(failed.message).toContain('no space left on device');
    expect(await seen(controller, before.user, 'is ready', (b) => b.ready)).toMatchObject({
      containerId: before.box.containerId,
    });
    await engine.freeDisk();
    await ready(controller, user);
    expect(await installation.containers(user)).toHaveLength(1);
  });
});
