import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { boxNameOf } from '#shared/identity.ts';
import { ClearReply, LeftoverList } from '#shared/leftover.ts';
import { runCli } from '../cli/cli-run.ts';
import { createInstallation, type Installation, lease, reach, ready, until } from '../e2e/installation.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { handsOf } from '../support/docker.ts';

/** Doctor and cleanup on a whole installation of real processes. What is cleared is named: others test on this engine, too. */

let installation: Installation;
let controller: ControllerProcess;
beforeAll(async () => {
  installation = await createInstallation();
  const key = { SPOON_ENCRYPTION_KEY: 'e81b37f0c95da2466c' };
  controller = await installation.controller(key);
  await installation.gateway(key);
});
afterAll(() => installation?.[Symbol.asyncDispose]());

const Told = z.object({ items: z.array(z.object({ check: z.string(), verdict: z.string(), found: z.string() })) });

test('doctor opens a real terminal, and finds no failure in an installation that is well', async () => {
  const user = installation.newUser('doc');
  const { code, out } = await runCli(['doctor', '--terminal', user, '--hold', '1s', '-o', 'json'], reach(controller));
  const { items } = Told.parse(JSON.parse(out));
  expect(items.filter(({ verdict }) => verdict === 'failure')).toEqual([]);
  expect(code).toBe(0);
  const oks = items.filter(({ verdict }) => verdict === 'ok').map(({ check }) => check);
  for (const check of [
    'Redis and engine',
    'version',
    'secrets',
    'engine',
    'work directory',
    'gateway',
    `terminal of ${user}`,
  ]) {
    expect(oks).toContain(check);
  }
  expect((await runCli(['cleanup', '--legacy'], reach(controller))).code).toBe(0);
});

test('a box of before is adopted on the same home by way of the list, and what was listed may be asked for once', async () => {
  const user = installation.newUser('former');
  const hands = handsOf(installation.world.docker);
  await installation.world.makeHome(user);
  const home = `${installation.world.docker.workdir}/homes/${user}:/home/spoon`;
  const id = await hands.createForeign(boxNameOf(user), [home]);
  const { items } = LeftoverList.parse((await controller.ask('GET', '/v1/leftovers')).json);
  const item = items.find(({ name }) => name === boxNameOf(user));
  expect(item).toMatchObject({ kind: 'unlabelled-box', action: 'adopt', inUse: null });
  const body = { kind: item?.kind, name: item?.name, seen: item?.seen };
  const reply = await controller.ask('POST', '/v1/leftovers/clear', body);
  expect(ClearReply.parse(reply.json).done).toBe(true);
  await until('the container of before is gone', async () => {
    return !(await installation.containers(user)).some((container) => container.id === id);
  });
  expect((await controller.ask('POST', '/v1/leftovers/clear', body)).status).toBe(409);
  await lease(controller, user);
  expect((await ready(controller, user)).containerId).not.toBe(id);
});
