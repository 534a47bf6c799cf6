import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '#shared/clock.ts';
import { connectDocker } from '#shared/docker.ts';
import type { PullProgress } from '#shared/status.ts';
import { createDockerRuntime } from '../../controller/src/runtime/docker-runtime.ts';
import type { BoxRuntime, RuntimeEvent } from '../../controller/src/runtime/port.ts';
import { createEngineProxy, type EngineProxy } from '../support/engine-proxy.ts';
import { createTestRegistry, portOf } from '../support/registry.ts';
import { faultOf, never, newUser, plainSpec, startListening } from './box-runtime-harness.ts';
import { type DockerHarness, makeDockerHarness } from './docker-harness.ts';

/** A hundred times as fast, so that a test need not wait for pings and retries. */
const fastClock: Clock = { ...systemClock, after: (delayMs, run) => systemClock.after(delayMs / 100, run) };
const readMs = 500;

let harness: DockerHarness;
beforeAll(async () => {
  harness = await makeDockerHarness();
});
afterAll(() => harness?.dispose());

describe('an engine that comes and goes', () => {
  let proxy: EngineProxy;
  let runtime: BoxRuntime;

  beforeAll(async () => {
    proxy = await createEngineProxy(join(harness.world.workdir, 'engine.sock'));
    const docker = await connectDocker(proxy.address);
    runtime = await createDockerRuntime({ ...harness.options, docker, clock: fastClock, timeouts: { readMs } });
  });
  afterEach(() => proxy.thaw());
  afterAll(() => proxy.close());

  /** What is told of the stream and of one user; other tests on this engine have boxes, too. */
  function follow(user = newUser()) {
    const abort = new AbortController();
    const told: string[] = [];
    const on = {
      event: (event: RuntimeEvent) => event.type === 'box' && event.user === user && told.push('event'),
      gap: () => told.push('gap'),
      down: () => told.push('down'),
    };
    const ended = expect(runtime.follow(on, abort.signal)).rejects.toBe('over');
    async function end(): Promise<void> {
      abort.abort('over');
      await ended;
    }
    return { told, end };
  }

  test('a broken stream is told once, and the next one begins with a gap', async () => {
    const user = newUser();
    const { told, end } = follow(user);
    await expect.poll(() => told).toEqual(['gap']);
    proxy.cut();
    await expect.poll(() => told).toEqual(['gap', 'down', 'gap']);
    await harness.hands.makeHome(user);
    await harness.runtime.create({ user, generation: 1, spec: plainSpec(harness, user) }, never);
    await expect.poll(() => told).toEqual(['gap', 'down', 'gap', 'event']);
    await end();
  });

  test('an engine that says nothing any more is found out, and told once however often it is tried', async () => {
    const { told, end } = follow();
    await expect.poll(() => told).toEqual(['gap']);
    proxy.freeze();
    await expect.poll(() => told).toEqual(['gap', 'down']);
    // By its own limit, or because the silence was found out: whichever is first.
    const kind = expect.stringMatching(/^(timeout|unreachable)$/);
    await expect(faultOf(runtime.list(never))).resolves.toMatchObject({ kind, operation: 'list' });
    expect(told).toEqual(['gap', 'down']);
    proxy.thaw();
    await expect.poll(() => told).toEqual(['gap', 'down', 'gap']);
    await end();
  });

  test('a change that was sent into silence ends as soon as the silence is found out, long before its own limit', async () => {
    const { told, end } = follow();
    await expect.poll(() => told).toEqual(['gap']);
    proxy.freeze();
    const removal = faultOf(runtime.remove('no-such-container', never));
    expect(await removal).toMatchObject({ kind: 'unreachable', operation: 'remove', status: null });
    proxy.thaw();
    await end();
  });

  test('calls on an engine that is gone are unreachable, and following it tells so', async () => {
    await proxy.close();
    const fault = await faultOf(runtime.observe(newUser(), { thorough: true }, never));
    expect(fault).toMatchObject({ kind: 'unreachable', operation: 'observe', status: null });
    const { told, end } = follow();
    await expect.poll(() => told).toEqual(['down']);
    proxy = await createEngineProxy(join(harness.world.workdir, 'engine.sock'));
    await expect.poll(() => told).toEqual(['down', 'gap']);
    await end();
  });

  test('a call that breaks off half-way is unreachable, its effect unknown', async () => {
    const user = newUser();
    await harness.hands.makeHome(user);
    const spec = plainSpec(harness, user, { command: harness.commands.deaf, network: 'bridge' });
    const { id } = await harness.runtime.create({ user, generation: 1, spec }, never);
    await startListening(harness, id);
    const stop = faultOf(runtime.stop(id, 10_000, never));
    await harness.runtime.probe(id, { command: harness.probes.heard, timeout: 30_000 }, never);
    proxy.cut();
    expect(await stop).toMatchObject({ kind: 'unreachable', operation: 'stop' });
  });
});

describe('pulling', () => {
  test('an image comes with progress that grows, and is there at the end', async () => {
    const registry = await createTestRegistry({ chunks: 16, msPerChunk: 100 });
    const { reference, layerBytes } = registry;
    try {
      const seen: PullProgress[] = [];
      await harness.runtime.pull(reference, (progress) => seen.push(progress), never);
      expect(await harness.runtime.image(reference, never)).toMatchObject({ state: 'present' });
      expect(seen.length).toBeGreaterThan(2);
      expect(seen.length).toBeLessThan(10);
      expect(seen.at(-1)).toEqual({
        image: reference,
        ...{ doneBytes: layerBytes, totalBytes: layerBytes, layersDone: 1, layers: 1 },
      });
      const done = seen.map((progress) => progress.doneBytes);
      expect(done).toEqual(done.toSorted((one, other) => one - other));
      expect(seen.some(({ doneBytes, totalBytes }) => doneBytes > 0 && doneBytes < totalBytes)).toBe(true);
    } finally {
      await harness.world.docker.getImage(reference).remove();
      await registry.close();
    }
  });

  test('a registry that falls silent is given up', async () => {
    const registry = await createTestRegistry({ chunks: 4, msPerChunk: 3_000 });
    const options = { ...harness.options, timeouts: { pullSilenceMs: 1_500 } };
    const runtime = await createDockerRuntime(options);
    try {
      const fault = await faultOf(runtime.pull(registry.reference, () => undefined, never));
      expect(fault).toMatchObject({ kind: 'timeout', operation: 'pull' });
    } finally {
      await registry.close();
    }
  });

  test('an aborted pull ends with the reason', async () => {
    const registry = await createTestRegistry({ chunks: 16, msPerChunk: 500 });
    try {
      const abort = new AbortController();
      setTimeout(() => abort.abort('enough'), 500);
      await expect(harness.runtime.pull(registry.reference, () => undefined, abort.signal)).rejects.toBe('enough');
    } finally {
      await registry.close();
    }
  });

  test('an image that the registry does not have is a fault with its words', async () => {
    const registry = await createTestRegistry({ chunks: 1, msPerChunk: 0 });
    try {
      const reference = registry.reference.replace(/:1$/, ':2');
      const fault = await faultOf(harness.runtime.pull(reference, () => undefined, never));
      expect(fault.operation).toBe('pull');
      expect(['not-found', 'failed']).toContain(fault.kind);
      expect(fault.message).toMatch(/manifest/);
    } finally {
      await registry.close();
    }
  });
});

describe('connecting', () => {
  const servers: Server[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  });

  async function engineThatAnswers(body: string): Promise<string> {
    const server = createServer((_request, response) => {
      response.setHeader('Connection', 'close');
      response.end(body);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `tcp://127.0.0.1:${portOf(server)}`;
  }

  test.each([
    ['an engine that is too old', { ApiVersion: '1.40', MinAPIVersion: '1.12' }, /speaks API 1\.40.*needs 1\.41/],
    ['an engine that is too new', { ApiVersion: '1.99', MinAPIVersion: '1.90' }, /older than 1\.90.*upgrade Spoonbox/],
    ['something else', { hello: 'world' }, /no usable Docker engine/],
  ])('%s is refused in one line', async (_name, version, words) => {
    const address = await engineThatAnswers(JSON.stringify(version));
    const error = await connectDocker(address).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'StartError' });
    expect(error).toHaveProperty('message', expect.stringMatching(words));
    expect(error).toHaveProperty('message', expect.not.stringContaining('\n'));
  });

  test('a new engine that still takes our version is spoken to in ours', async () => {
    const address = await engineThatAnswers(JSON.stringify({ ApiVersion: '1.52', MinAPIVersion: '1.44' }));
    expect(await connectDocker(address)).toMatchObject({ version: 'v1.47' });
  });

  test.each([
    ['unix:///nowhere/docker.sock', /No Docker engine answers at unix:\/\/\/nowhere\/docker\.sock \(ENOENT\)/],
    ['tcp://127.0.0.1:1', /No Docker engine answers at .*\(ECONNREFUSED\)/],
    ['ssh://somewhere', /DOCKER_HOST is ssh:\/\/somewhere: use unix:/],
  ])('%s is refused with what to do', async (address, words) => {
    await expect(connectDocker(address)).rejects.toThrow(words);
  });
});
