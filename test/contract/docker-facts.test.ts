import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { label, networkNameOf, type UserName } from '#shared/identity.ts';
import type { BoxSpec } from '../../controller/src/box/observed.ts';
import { createDockerRuntime } from '../../controller/src/runtime/docker-runtime.ts';
import { verifyWorkdir } from '../../controller/src/runtime/verify-workdir.ts';
import { tarOf } from '../support/registry.ts';
import { faultOf, never, newUser, plainSpec } from './box-runtime-harness.ts';
import { type DockerHarness, makeDockerHarness } from './docker-harness.ts';

/** What is true of Docker alone, and what only a look into a container can show. */
describe('the Docker runtime, looked at from inside and below', () => {
  let harness: DockerHarness;
  const images: string[] = [];

  beforeAll(async () => {
    harness = await makeDockerHarness();
    await harness.runtime.ensureNetwork(never);
  });
  afterAll(async () => {
    await harness?.world.removeContainers();
    for (const image of images) await harness.world.docker.getImage(image).remove();
    await harness?.dispose();
  });

  async function createBox(changes: Partial<BoxSpec> = {}, user: UserName = newUser()) {
    await harness.hands.makeHome(user);
    const spec = plainSpec(harness, user, changes);
    const { id } = await harness.runtime.create({ user, generation: 1, spec }, never);
    return { user, id };
  }

  async function startBox(changes: Partial<BoxSpec> = {}) {
    const box = await createBox(changes);
    await harness.runtime.start(box.id, never);
    return box;
  }

  async function helpersLeft(): Promise<number> {
    const filters = { label: [`${label.installation}=${harness.installation}`, `${label.role}=helper`] };
    return (await harness.world.docker.listContainers({ all: true, filters })).length;
  }

  test('a box has its limits, its user, its home and no rights beyond the named ones', async () => {
    const { user, id } = await startBox();
    const { run } = harness.hands;
    const status = await run(id, ['cat', '/proc/self/status']);
    expect(status.output).toMatch(/^NoNewPrivs:\s+1\s*$/m);
    // NET_BIND_SERVICE is bit 10.
    expect(status.output).toMatch(/^CapBnd:\s+0000000000000400\s*$/m);
    expect(status.output).toMatch(/^Uid:\s+1000\s/m);
    expect((await run(id, ['pwd'])).output).toBe('/home/spoon');
    expect((await run(id, ['cat', '/proc/1/comm'])).output).toBe('docker-init');
    expect((await run(id, ['hostname'])).output).toBe(user.replaceAll('.', '-'));
    const { HostConfig } = await harness.world.docker.getContainer(id).inspect();
    const memory = 256 * 1024 ** 2;
    expect(HostConfig).toMatchObject({ Memory: memory, MemorySwap: memory, NanoCpus: 1e9, PidsLimit: 64 });
  });

  test('two boxes cannot reach each other, and each has its way outside', async () => {
    const { hands } = harness;
    // A port that nobody listens on is refused at once by a host that can be reached; silence is a timeout (124).
    const reach = (from: string, address: string) =>
      hands.run(from, ['timeout', '2', 'bash', '-c', `: </dev/tcp/${address}/9`]);
    const [one, other] = [await startBox(), await startBox()];
    const address = await hands.addressOf(other.id, networkNameOf(harness.installation));
    expect(await reach(one.id, address)).toMatchObject({ exitCode: 124 });
    // The same between two containers of Docker's own network, which may talk.
    const [open, peer] = [await startBox({ network: 'bridge' }), await startBox({ network: 'bridge' })];
    const peerAddress = await hands.addressOf(peer.id, 'bridge');
    expect((await reach(open.id, peerAddress)).output).toContain('Connection refused');
    // The way outside is a default route, to a gateway that answers (flags 0x2 in the table of neighbours).
    expect((await hands.run(one.id, ['cat', '/proc/net/route'])).output).toMatch(/^eth0\s+00000000\s/m);
    const gateway = address.replace(/\d+$/, '1');
    await reach(one.id, gateway);
    const neighbours = (await hands.run(one.id, ['cat', '/proc/net/arp'])).output;
    expect(neighbours.split(/[\r\n]+/).find((line) => line.startsWith(`${gateway} `))).toMatch(/ 0x2 /);
  });

  test("an image's own entrypoint and health check do not count", async () => {
    const { id } = await startBox();
    const changes = ['ENTRYPOINT ["/bin/false"]', 'HEALTHCHECK --interval=1s CMD true'];
    const made = await harness.world.docker.getContainer(id).commit({ changes, pause: false });
    images.push(made.Id);
    const box = await startBox({ imageId: made.Id });
    expect(await harness.runtime.observe(box.user, { thorough: true }, never)).toMatchObject([{ state: 'running' }]);
    const { Config, State } = await harness.world.docker.getContainer(box.id).inspect();
    expect(Config).toMatchObject({ StopSignal: 'SIGTERM', Entrypoint: harness.commands['ends-on-term'] });
    expect(State.Health).toBeUndefined();
  });

  test("an image that was committed from a box carries its labels, and its container the image's own id", async () => {
    const { user, id } = await startBox();
    const made = await harness.world.docker.getContainer(id).commit({ pause: false });
    images.push(made.Id);
    const copy = await harness.world.docker.createContainer({ Image: made.Id, name: `copy-of-${user}` });
    const views = await harness.runtime.observe(user, { thorough: true }, never);
    expect(views.find((view) => view.id === copy.id)).toMatchObject({ user, imageId: made.Id });
    expect(views.find((view) => view.id === copy.id)?.spec?.imageId).not.toBe(made.Id);
  });

  test('a box is removed without the volumes of its image', async () => {
    const { id } = await createBox();
    const { docker } = harness.world;
    const made = await docker.getContainer(id).commit({ changes: ['VOLUME /data'], pause: false });
    images.push(made.Id);
    const box = await createBox({ imageId: made.Id });
    const { Mounts } = await docker.getContainer(box.id).inspect();
    const volume = docker.getVolume(Mounts.find(({ Type }) => Type === 'volume')?.Name ?? '');
    await harness.runtime.remove(box.id, never);
    await volume.inspect();
    await volume.remove();
  });

  test('a box that uses more memory than it has is shown as such', async () => {
    const { user } = await startBox({ command: ['tail', '/dev/zero'], memoryBytes: 32 * 1024 ** 2 });
    const look = () => harness.runtime.observe(user, { thorough: true }, never);
    await expect.poll(look).toMatchObject([{ state: 'exited', exitCode: 137, oomKilled: true }]);
  });

  test('an image without a shell: the box ends with 127, and no home can be made with it', async () => {
    const imported = await importImage(harness, tarOf('file', Buffer.from('not a program')));
    images.push(imported);
    const { user } = await startBox({ imageId: imported });
    const look = () => harness.runtime.observe(user, { thorough: true }, never);
    await expect.poll(look).toMatchObject([{ state: 'exited', exitCode: 127 }]);
    const call = harness.runtime.ensureHome(newUser(), { uid: 1000, gid: 1000, image: imported }, never);
    const fault = await faultOf(call);
    expect(fault).toMatchObject({ operation: 'ensureHome', kind: 'invalid' });
    expect(fault.message).toContain('/bin/sh');
    expect(await helpersLeft()).toBe(0);
  });

  test('a home that cannot be made is not said to be there', async () => {
    const elsewhere = await mkdtemp(join(tmpdir(), 'spoonbox-no-homes-'));
    // Stands for a disk that is full, or read only.
    await writeFile(join(elsewhere, 'homes'), '');
    const runtime = await createDockerRuntime({ ...harness.options, hostWorkdir: elsewhere });
    const owner = { uid: 1000, gid: 1000, image: harness.image.id };
    const { kind, message } = await faultOf(runtime.ensureHome(newUser(), owner, never));
    await rm(elsewhere, { recursive: true });
    expect([kind, message]).toEqual([
      'failed',
      expect.stringMatching(/^homes\/\S+ cannot be made: .*Not a directory$/),
    ]);
  });

  test('a readiness command that is not there fails with the words of the engine', async () => {
    const { id } = await startBox();
    const fault = await faultOf(harness.runtime.probe(id, { command: ['/nothing'], timeout: 10_000 }, never));
    expect(fault.operation).toBe('probe');
    expect(['failed', 'invalid']).toContain(fault.kind);
    expect(fault.message).toContain('/nothing');
  });

  test('a list is one call on the engine, a look at a running box too', async () => {
    const { user } = await startBox();
    const dial = vi.spyOn(harness.world.docker.modem, 'dial');
    await harness.runtime.list(never);
    expect(dial).toHaveBeenCalledTimes(1);
    await harness.runtime.observe(user, { thorough: false }, never);
    expect(dial).toHaveBeenCalledTimes(2);
    dial.mockRestore();
  });

  test('while events are followed an image is asked for once, and again when it was untagged', async () => {
    const { id } = await createBox();
    const { Id } = await harness.world.docker
      .getContainer(id)
      .commit({ repo: 'spoonbox-test', tag: harness.installation });
    images.push(Id);
    const reference = `spoonbox-test:${harness.installation}`;
    const abort = new AbortController();
    const gap = vi.fn();
    const event = vi.fn();
    const down = vi.fn();
    const following = harness.runtime.follow({ event, gap, down }, abort.signal);
    await expect.poll(() => gap.mock.calls.length).toBe(1);
    const dial = vi.spyOn(harness.world.docker.modem, 'dial');
    for (let i = 0; i < 5; i += 1) {
      expect(await harness.runtime.image(reference, never)).toEqual({ state: 'present', id: Id });
    }
    expect(dial).toHaveBeenCalledTimes(1);
    await harness.world.docker.getImage(reference).remove();
    await expect.poll(() => harness.runtime.image(reference, never)).toEqual({ state: 'absent' });
    images.pop();
    abort.abort('over');
    await expect(following).rejects.toBe('over');
    dial.mockRestore();
  });

  test('of two networks of our name the older one stays', async () => {
    const body = { Name: networkNameOf(harness.installation), Labels: { [label.installation]: harness.installation } };
    const second = harness.world.docker.createNetwork({ ...body, CheckDuplicate: false });
    // Newer engines refuse a second one, whatever is asked: then there is nothing to settle.
    const made = await second.then(
      () => true,
      () => false,
    );
    const before = await harness.world.networks();
    expect(before).toHaveLength(made ? 2 : 1);
    await harness.runtime.ensureNetwork(never);
    const oldest = before.toSorted((one, other) => (one.Created < other.Created ? -1 : 1))[0];
    expect((await harness.world.networks()).map(({ Id }) => Id)).toEqual([oldest?.Id]);
  });

  test('what is refused beside the boxes: a second network of a name, one in use, and everything that is gone', async () => {
    const { docker } = harness.world;
    const status = async (call: Promise<unknown>): Promise<unknown> => {
      return await call.then(
        () => 'no refusal',
        (error: unknown) => (error instanceof Error && 'statusCode' in error ? error.statusCode : error),
      );
    };
    const { id } = await startBox();
    const [network] = await harness.world.networks();
    const twin = { Name: networkNameOf(harness.installation), CheckDuplicate: true };
    expect(await status(docker.createNetwork(twin))).toBe(409);
    expect(await status(docker.getNetwork(network?.Id ?? '').remove())).toBe(403);
    const [gone, none] = ['f'.repeat(64), 'spoonbox.invalid/none:1'];
    expect(await status(docker.getNetwork(gone).remove())).toBe(404);
    expect(await status(docker.getContainer(gone).inspect())).toBe(404);
    expect(await status(docker.getContainer(gone).wait())).toBe(404);
    expect(await status(docker.getContainer(gone).logs({ stdout: true }))).toBe(404);
    expect(await status(docker.getContainer(gone).top())).toBe(404);
    expect(await status(docker.getContainer(gone).exec({ Cmd: ['true'] }))).toBe(404);
    expect(await status(docker.getImage(none).inspect())).toBe(404);
    // By its old name a container is not found; a filter by name finds every name that holds the words.
    await harness.runtime.rename(id, `renamed-${harness.installation}`, never);
    expect(await status(docker.getContainer(`spoon-box-${harness.installation}`).inspect())).toBe(404);
    const found = await docker.listContainers({ all: true, filters: { name: [harness.installation] } });
    expect(found.map(({ Id }) => Id)).toEqual([id]);
  });

  test("somebody else's network of our name is a conflict", async () => {
    const other = await makeDockerHarness();
    try {
      await other.world.docker.createNetwork({ Name: networkNameOf(other.installation) });
      const fault = await faultOf(other.runtime.ensureNetwork(never));
      expect(fault).toMatchObject({ kind: 'conflict', operation: 'ensureNetwork' });
    } finally {
      await other.dispose();
    }
  });

  test('helpers that are older than ten minutes by the clock of the engine are removed, younger ones stay', async () => {
    const labels = { [label.installation]: harness.installation, [label.role]: 'helper' };
    await harness.world.docker.createContainer({ Image: harness.image.id, Labels: labels });
    await harness.runtime.removeLeftHelpers(never);
    expect(await helpersLeft()).toBe(1);
    const { modem } = harness.world.docker;
    const dial = modem.dial.bind(modem);
    const later = new Date(Date.now() + 11 * 60_000).toISOString();
    const spy = vi.spyOn(modem, 'dial').mockImplementation((options, callback) => {
      if (options.path === '/info') callback?.(null, { SystemTime: later });
      else dial(options, callback);
    });
    await harness.runtime.removeLeftHelpers(never);
    spy.mockRestore();
    expect(await helpersLeft()).toBe(0);
  });

  test('the work directory is verified, and a wrong or missing mapping ends the start with one line', async () => {
    const { installation, workdir } = harness.world;
    const check = (hostWorkdir: string) => {
      const { docker, log } = harness.options;
      return verifyWorkdir({ docker, installation, workdir, hostWorkdir, image: harness.image.id, log }, never);
    };
    // What a kill left long ago goes; what another process is looking at just now stays.
    const [left, recent] = [join(workdir, '.spoonbox-marker-left'), join(workdir, '.spoonbox-marker-recent')];
    for (const marker of [left, recent]) await writeFile(marker, 'x');
    const long = new Date(Date.now() - 3_600_000);
    await utimes(left, long, long);
    await check(workdir);
    expect((await readdir(workdir)).toSorted()).toEqual(['.spoonbox-marker-recent', 'homes']);
    await rm(recent);
    for (const wrong of [join(workdir, 'homes'), '/nowhere/at/all']) {
      const error = await check(wrong).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ name: 'StartError' });
      expect(String(error)).toMatch(/^StartError: SPOON_AGENT_HOST_WORKDIR .*SPOON_AGENT_WORKDIR[^\n]*$/);
    }
    expect(await readdir(workdir)).toEqual(['homes']);
    expect(await helpersLeft()).toBe(0);
  });
});

/** An image of the files of one tar archive; answers its id. */
async function importImage(harness: DockerHarness, tar: Buffer): Promise<string> {
  const reference = `spoonbox-test-import:${harness.installation}`;
  const { docker } = harness.world;
  await new Promise<void>((resolve, reject) => {
    const options = {
      path: '/images/create?',
      method: 'POST',
      options: { fromSrc: '-', repo: 'spoonbox-test-import', tag: harness.installation },
      file: tar,
      statusCodes: { 200: true },
    };
    docker.modem.dial(options, (error) => (error ? reject(error) : resolve()));
  });
  return (await docker.getImage(reference).inspect()).Id;
}
