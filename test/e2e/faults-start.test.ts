import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEngineProxy } from '../support/engine-proxy.ts';
import { type RunningProcess, startProcess } from '../support/process.ts';
import { freePort } from '../support/redis.ts';
import { classesFolder, notReady, takeLease, words } from './fault-world.ts';
import { boxOf, createInstallation, type Installation, isLeader, ready, until } from './installation.ts';

const mainFile = new URL('../../controller/src/main.ts', import.meta.url).pathname;

let installation: Installation;
beforeAll(async () => {
  installation = await createInstallation();
});
afterAll(() => installation[Symbol.asyncDispose]());

/** A controller that is expected to refuse to start: its exit code and what it said to whoever started it. */
async function refusal(
  environment: Readonly<Record<string, string>>,
): Promise<{ code: number | null; text: string[] }> {
  const port = await freePort();
  const settings = { ...installation.world.environment, SPOON_CONTROLLER_PORT: String(port), ...environment };
  const running: RunningProcess = startProcess(mainFile, settings);
  const giveUp = setTimeout(() => void running.kill(), 30_000);
  try {
    return { code: await running.exited, text: words(running) };
  } finally {
    clearTimeout(giveUp);
  }
}

describe('a controller that is set up wrongly', () => {
  test('tells everything that is wrong with its configuration at once, and ends with 78', async () => {
    const { code, text } = await refusal({
      SPOON_REDIS_URL: 'nowhere',
      SPOON_CONTROLLER_PORT: '99999',
      SPOON_AGENT_BOX_IDLE_MS: 'soon',
      SPOON_AGENT_WORKER_INTERNAL_TOKEN: '',
    });
    expect(code).toBe(78);
    for (const name of [
      'SPOON_REDIS_URL',
      'SPOON_CONTROLLER_PORT',
      'SPOON_AGENT_BOX_IDLE_MS',
      'SPOON_AGENT_WORKER_INTERNAL_TOKEN',
    ]) {
      expect(text.filter((line) => line.includes(`${name}: `))).toHaveLength(1);
    }
    expect(text.join('\n')).not.toMatch(/^ +at /m);
  });

  test('names file, line and field of every mistake in its classes, and ends with 78', async () => {
    const folder = await classesFolder(join(installation.world.docker.workdir, 'classes-broken'), {});
    await writeFile(join(folder, 'big.yaml'), 'name: big\nimage: debian\nlimits:\n  memory: lots\n');
    await writeFile(join(folder, 'torn.yaml'), 'name: torn\nimage: [debian\n');
    const { code, text } = await refusal({ SPOON_CLASSES: folder });
    expect(code).toBe(78);
    expect(text.join('\n')).toMatch(/big\.yaml:4: limits\.memory: /);
    expect(text.join('\n')).toMatch(/torn\.yaml:\d+: /);
  });

  test('says in one line that its port is taken', async () => {
    const port = new URL(installation.world.redis.url).port;
    const { code, text } = await refusal({ SPOON_CONTROLLER_PORT: port });
    expect(code).toBeGreaterThan(0);
    expect(text).toHaveLength(1);
    expect(text[0]).toContain(`Port ${port} on 127.0.0.1 is in use`);
    expect(text[0]).toContain('SPOON_CONTROLLER_PORT');
  });

  test.each(['is another directory', 'is not there'])(
    'says in one line that SPOON_AGENT_HOST_WORKDIR %s',
    async (what) => {
      const wrong = join(installation.world.docker.workdir, `wrong-${what.replaceAll(' ', '-')}`);
      if (what === 'is another directory') await mkdir(wrong);
      const { code, text } = await refusal({ SPOON_AGENT_HOST_WORKDIR: wrong });
      expect(code).toBeGreaterThan(0);
      expect(text).toHaveLength(1);
      expect(text[0]).toContain(`SPOON_AGENT_HOST_WORKDIR (${wrong})`);
    },
  );

  test('does not start on the Redis of another installation, and says how to go on', async () => {
    const first = await installation.controller();
    await first.stop();
    const { code, text } = await refusal({ SPOON_INSTALLATION_ID: 'another' });
    expect(code).toBe(78);
    expect(text).toHaveLength(1);
    expect(text[0]).toContain(`SPOON_INSTALLATION_ID=${installation.world.docker.installation}`);
  });
});

describe('a controller whose Redis or engine is not there yet', () => {
  test('waits for Redis, says so, and goes on when it comes', async () => {
    const { redis } = installation.world;
    await redis.stop();
    const controller = await installation.controller({}, 'standby');
    expect(await notReady(controller)).toMatch(/Redis/);
    expect((await controller.ask('GET', '/healthz')).status).toBe(200);
    expect(await controller.ask('GET', '/v1/boxes')).toMatchObject({
      status: 503,
      json: { code: 'redis-unavailable' },
    });
    await redis.restart();
    await controller.converged();
    expect(await controller.stop()).toBe(0);
  });

  test('takes leases while it waits for the engine, and makes the boxes when it comes', async () => {
    const path = join(installation.world.docker.workdir, 'late.sock');
    const user = installation.newUser('early');
    const controller = await installation.controller({ DOCKER_HOST: `unix://${path}` }, 'standby');
    await until('Redis is in use', async () => (await notReady(controller)).startsWith('No Docker engine answers'));
    expect(await notReady(controller)).toContain(path);
    expect(await takeLease(controller, user)).toMatchObject({ status: 200, json: { ready: false } });
    const proxy = await createEngineProxy(path);
    try {
      await ready(controller, user);
      expect((await controller.ask('GET', '/readyz')).status).toBe(200);
      expect(await controller.stop()).toBe(0);
    } finally {
      await proxy.close();
    }
  });

  // The code tells: a drain that is cut off ends with 1.
  test('ends on SIGTERM while Redis is down', async () => {
    const { redis } = installation.world;
    const late = await installation.controller();
    await redis.stop();
    try {
      const early = await installation.controller({}, 'standby');
      await notReady(early);
      expect(await early.stop()).toBe(0);
      await notReady(late);
      expect(await late.stop()).toBe(0);
    } finally {
      await redis.restart();
    }
  });

  test('ends on SIGTERM while the engine is down or does not answer', async () => {
    const { workdir } = installation.world.docker;
    const early = await installation.controller({ DOCKER_HOST: `unix://${workdir}/never.sock` }, 'standby');
    await notReady(early);
    expect(await early.stop()).toBe(0);

    const proxy = await createEngineProxy(join(workdir, 'frozen.sock'));
    try {
      const late = await installation.controller({ DOCKER_HOST: proxy.address });
      proxy.freeze();
      const user = installation.newUser('frozen');
      await takeLease(late, user);
      expect(await late.stop()).toBe(0);
    } finally {
      await proxy.close();
    }
  });
});

test('a second controller serves the API and leaves the boxes to the first, until that one ends', async () => {
  const first = await installation.controller();
  const second = await installation.controller({}, 'standby');
  await until('the second answers', () =>
    second.ask('GET', '/readyz').then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
  expect([await isLeader(first), await isLeader(second)]).toEqual([true, false]);

  const user = installation.newUser('two');
  const story = await installation.follow(user);
  const taken = await takeLease(second, user, { waitMs: 30_000 });
  expect(taken).toMatchObject({ status: 200, json: { ready: true } });
  const { containerId } = await boxOf(second, user);
  expect((await boxOf(first, user)).containerId).toBe(containerId);

  await first.stop();
  await second.converged();
  expect((await ready(second, user)).containerId).toBe(containerId);
  await until('the events came', () => story.count('start') > 0);
  expect([story.count('create'), story.count('start'), story.count('die')]).toEqual([1, 1, 0]);
  expect(await installation.containers(user)).toEqual([{ id: containerId, state: 'running' }]);
  await second.stop();
});
