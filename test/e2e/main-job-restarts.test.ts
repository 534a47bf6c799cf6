import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { LeaseReply } from '#shared/api-schemas.ts';
import { createTestRegistry, type TestRegistry } from '../support/registry.ts';
import { openShell } from '../support/terminal-client.ts';
import { boxOf, createInstallation, type Installation, isOfTheBox, lease, ready, until } from './installation.ts';

/** Gateways that die, and both processes told to stop: what is left, and what is found again. */

let installation: Installation;
/** Sends its image so slowly that who waits for it waits for long. */
let registry: TestRegistry;
beforeAll(async () => {
  installation = await createInstallation();
  registry = await createTestRegistry({ chunks: 40, msPerChunk: 1_000 });
});
afterEach(() => installation.stopProcesses());
afterAll(async () => {
  await installation[Symbol.asyncDispose]();
  await registry.close();
});

test('kill -9 of the gateway leaves the box and its work, and the next gateway serves it', async () => {
  const controller = await installation.controller();
  const gateway = await installation.gateway();
  const user = installation.newUser('orphan');
  const shell = await openShell(controller, user);
  const { containerId } = await shell.message('hello');
  const startedAt = await installation.startedAt(containerId);
  await shell.run('echo here > /tmp/note; { setsid sleep 4242 < /dev/null > /dev/null 2>&1 & }');
  await gateway.kill();
  expect((await shell.closed).code).toBe(1006);

  const box = await boxOf(controller, user);
  expect(box).toMatchObject({ phase: 'ready', containerId });
  // Nobody renews the terminal's lease any more: it ends by itself within its 30 s.
  expect(box.leases.map(({ kind, expiresAt }) => [kind, expiresAt - box.now <= 30_000])).toEqual([['terminal', true]]);

  await installation.gateway();
  const again = await openShell(controller, user);
  expect(await again.message('hello')).toMatchObject({ containerId });
  expect((await again.run('cat /tmp/note')).output).toBe('here');
  expect(await installation.processes(containerId)).toContain('sleep 4242');
  expect(await installation.startedAt(containerId)).toBe(startedAt);
  await again.detach();
});

test('both processes drain: clients are told, nothing is left running in the box, and the box is found again', async () => {
  const classes = await installation.classes({ default: {}, slow: { image: registry.reference } });
  const settings = { SPOON_CLASSES: classes };
  const controller = await installation.controller(settings);
  const gateway = await installation.gateway();
  const user = installation.newUser('drained');
  const waiting = installation.newUser('waiting');
  const shell = await openShell(controller, user);
  const { containerId } = await shell.message('hello');
  const startedAt = await installation.startedAt(containerId);
  await shell.run('echo here > /tmp/note');
  shell.type('sleep 4242\n');
  await until('the program runs', async () => (await installation.processes(containerId)).includes('sleep 4242'));
  const answer = controller.ask('PUT', `/v1/boxes/${waiting}/leases/job?waitMs=60000`, {
    kind: 'job',
    holder: 'test',
    ttlMs: 60_000,
    class: 'slow',
  });
  await until('the image is pulled', async () => {
    const { status, json } = await controller.ask('GET', `/v1/boxes/${waiting}`);
    return status === 200 && Stepping.parse(json).step === 'pulling';
  });

  const codes = await Promise.all([gateway.stop(), controller.stop()]);
  expect(codes).toEqual([0, 0]);
  expect(await shell.message('exit')).toMatchObject({ code: null, reason: 'restarting' });
  expect((await shell.closed).code).toBe(1012);
  const { status, json } = await answer;
  expect(status).toBe(200);
  const reply = LeaseReply.parse(json);
  expect(reply.ready).toBe(false);
  expect(reply.waitsFor).toContain('pulled');
  expect((await installation.processes(containerId)).filter((command) => !isOfTheBox(command))).toEqual([]);
  const second = await installation.controller(settings);
  await installation.gateway();
  expect(await ready(second, user)).toMatchObject({ containerId });
  expect(await installation.startedAt(containerId)).toBe(startedAt);
  const again = await openShell(second, user);
  expect((await again.run('cat /tmp/note')).output).toBe('here');
  await again.detach();
  // The lease that was waited for is still there, and so is what it waits for.
  expect((await boxOf(second, waiting)).leases.map(({ id }) => id)).toEqual(['job']);
  await lease(second, user);
});

const Stepping = z.object({ step: z.string().nullable() });
