import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock } from '#shared/clock.ts';
import { connectDocker } from '#shared/docker.ts';
import { UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { createDockerExec } from '../../gateway/src/exec/docker-exec.ts';
import { boxImage } from '../support/docker.ts';
import { createEngineProxy } from '../support/engine-proxy.ts';
import { createOwnEngine, whyNoOwnEngine } from '../support/own-engine.ts';
import { type Boxes, createBoxes } from './gateway-world.ts';

/** A terminal that ends while its gateway cannot reach the engine, or whose engine forgot it. */

const why = whyNoOwnEngine();
if (why !== null) process.stderr.write(`half of test/gateway/leftovers.docker.test.ts is skipped: ${why}\n`);
const log = createLogger({ name: 'exec', level: 'silent' });
const never = new AbortController().signal;

let boxes: Boxes;
let folder: string;
beforeAll(async () => {
  boxes = await createBoxes();
  folder = await mkdtemp(join(tmpdir(), 'spoonbox-leftovers-'));
});
afterAll(async () => {
  await boxes?.close();
  await rm(folder, { recursive: true, force: true });
});

it('a shell that could not be hung up is ended once the engine can be reached, and none of its session is started before', async () => {
  const path = join(folder, 'engine.sock');
  const proxy = await createEngineProxy(path);
  const docker = await connectDocker(proxy.address);
  const exec = createDockerExec({ connect: async () => docker, clock: systemClock, log });
  const user = UserName.parse(`leftovers-${process.pid}`);
  const containerId = await boxes.start(user);
  const start = {
    containerId,
    session: 'sLeft',
    size: { cols: 80, rows: 24 },
    directory: null,
    environment: {},
    persist: 'none' as const,
  };
  const terminal = await exec.open(start, never);
  terminal.stream.write('sleep 600\n');
  await vi.waitFor(async () => expect(await boxes.processes(containerId)).toContain('sleep 600'));

  await proxy.close();
  await terminal.hangUp();
  expect(await boxes.processes(containerId)).toContain('sleep 600');
  await expect(exec.open(start, never)).rejects.toMatchObject({ fault: { kind: 'unreachable' } });

  const back = await createEngineProxy(path);
  await vi.waitFor(async () => expect(await boxes.processes(containerId)).toEqual([]));
  const next = await vi.waitFor(() => exec.open(start, never));
  await next.hangUp();
  await back.close();
});

it('the shell of a session that another gateway has is hung up, and nothing that carries the mark is signalled', async () => {
  const user = UserName.parse(`lost-${process.pid}`);
  const containerId = await boxes.start(user);
  const size = { cols: 80, rows: 24 };
  const start = { containerId, session: 'sTaken', size, directory: null, environment: {}, persist: 'none' as const };
  const typed = ['sleep 601\n', 'trap "" HUP; sleep 602\n', 'sleep 603\n'];
  const [obeys, deaf, others] = await Promise.all(
    typed.map(async (input) => {
      const terminal = await boxes.exec.open(start, never);
      terminal.stream.write(input);
      return terminal;
    }),
  );
  const sleeps = async (): Promise<string[]> =>
    (await boxes.processes(containerId)).filter((command) => command.startsWith('sleep')).toSorted();
  const all = ['sleep 601', 'sleep 602', 'sleep 603'];
  await vi.waitFor(async () => expect(await sleeps()).toEqual(all));
  await Promise.all([obeys?.hangUp('anothers'), deaf?.hangUp('anothers')]);
  expect(await sleeps()).toEqual(['sleep 602', 'sleep 603']);
  // What outlived it is the sweep’s, once nobody has the session any more.
  await others?.hangUp();
  expect(await sleeps()).toEqual(['sleep 602']);
});

describe.skipIf(why !== null)('an engine with live restore', () => {
  it('that was restarted has forgotten its shells: they are ended all the same', async () => {
    const engine = await createOwnEngine();
    try {
      const docker = await engine.connect();
      const exec = createDockerExec({ connect: async () => docker.modem, clock: systemClock, log });
      const box = await docker.createContainer({
        Image: boxImage,
        Cmd: ['sleep', 'infinity'],
        HostConfig: { Init: true },
      });
      await box.start();
      const start = {
        containerId: box.id,
        session: 'sForgotten',
        size: { cols: 80, rows: 24 },
        directory: null,
        environment: {},
        persist: 'none' as const,
      };
      const terminal = await exec.open(start, never);
      const isThere = async (): Promise<boolean> =>
        (await engine.processes()).some(({ marks }) => marks.includes('SPOONBOX_SESSION=sForgotten'));
      await vi.waitFor(async () => expect(await isThere()).toBe(true));
      await engine.kill();
      await engine.start({ liveRestore: true });
      expect(await isThere()).toBe(true);
      await terminal.hangUp();
      expect(await isThere()).toBe(false);
    } finally {
      await engine[Symbol.asyncDispose]();
    }
  });
});
