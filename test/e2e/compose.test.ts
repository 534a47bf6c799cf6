import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { boxNameOf } from '#shared/identity.ts';
import {
  buildWithinMs,
  type ComposeInstallation,
  composeImages,
  composeProgram,
  createComposeInstallation,
} from '../support/compose-installation.ts';
import { openShell } from '../support/terminal-client.ts';
import { until } from './installation.ts';

const run = promisify(execFile);
const cli = new URL('../../controller/cli/spoonbox.js', import.meta.url).pathname;
const upWithinMs = 180_000;
const ours = ['redis', 'controller', 'gateway', 'filter'];

/** The files as they stand, with the images of this checkout; skipped, and counted as that, where there is no compose. */
const describeCompose = describe.skipIf(composeProgram === undefined);
let image: string;
beforeAll(async () => {
  if (composeProgram !== undefined) image = await composeImages();
}, buildWithinMs);

describeCompose('compose.yml, with nginx before it', () => {
  let spoonbox: ComposeInstallation;
  beforeAll(async () => {
    spoonbox = await createComposeInstallation(image, ['nginx', 'filter']);
    await spoonbox.up();
    await until('nginx serves', async () => (await spoonbox.ask('GET', '/readyz').catch(() => null))?.status === 200);
  }, upWithinMs);
  afterAll(async () => {
    await spoonbox?.[Symbol.asyncDispose]();
  }, upWithinMs);

  test.each(ours)(
    'runs %s as nobody, with no capability, on a root file system that nobody writes to',
    async (service) => {
      const { Config, HostConfig } = await spoonbox.inspect(service);
      expect(Config.User).toMatch(/^[1-9]\d*:[1-9]\d*$/);
      expect(HostConfig).toMatchObject({
        ...{ ReadonlyRootfs: true, CapDrop: ['ALL'], CapAdd: null, Privileged: false },
        ...{ SecurityOpt: ['no-new-privileges:true'], RestartPolicy: { Name: 'unless-stopped' } },
      });
      const status = await spoonbox.exec(service, 'cat', '/proc/1/status', '/proc/1/mounts');
      expect(status).toMatch(/^Uid:\s+[1-9]/m);
      expect(status).toMatch(/^CapBnd:\s+0{16}$/m);
      expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
      expect(status).toMatch(/^\S+ \/ \S+ ro,/m);
    },
  );

  test('lets the gateway write its recordings, and nothing else of the work directory', async () => {
    const write = (path: string): Promise<{ code: number | null }> =>
      spoonbox.run('gateway', 'sh', '-c', 'mv "$1" "$1.away" || touch "$1"', 'write', `/var/lib/spoonbox/${path}`);
    for (const path of ['.spoonbox-installation', 'homes', 'new']) expect((await write(path)).code, path).not.toBe(0);
    expect((await write('recordings/new')).code).toBe(0);
  });

  test('keeps what Redis acknowledged, and evicts nothing', async () => {
    const settings = await spoonbox.exec('redis', 'redis-cli', 'config', 'get', '*');
    const setting = (name: string): string | undefined => new RegExp(`^${name}\n(.*)$`, 'm').exec(settings)?.[1];
    expect(['appendonly', 'appendfsync', 'maxmemory-policy', 'save'].map(setting)).toEqual([
      ...['yes', 'everysec', 'noeviction', ''],
    ]);
  });

  test('serves API, console, terminals and commands under one host name, with TLS', async () => {
    const user = spoonbox.newUser('alice');
    expect(await spoonbox.ask('GET', '/console/')).toMatchObject({
      status: 200,
      json: expect.stringContaining('<html'),
    });
    const shell = await openShell(spoonbox, user, { ca: spoonbox.certificate });
    expect(await shell.run('echo "I am $(id -un) at $HOME"')).toEqual({ code: 0, output: 'I am spoon at /home/spoon' });
    expect((await spoonbox.ask('GET', `/v1/boxes/${user}`)).json).toMatchObject({ ready: true });

    const env = {
      ...process.env,
      ...{ SPOONBOX_SERVER: spoonbox.url, SPOONBOX_TOKEN: spoonbox.token },
      NODE_EXTRA_CA_CERTS: spoonbox.certificateFile,
    };
    const job = run(process.execPath, [cli, 'exec', user, '--', 'sh', '-c', 'echo out; exit 3'], { env });
    await expect(job).rejects.toMatchObject({ code: 3, stdout: 'out\n' });
    await shell.detach();
  });

  test('finds a gateway that was made anew', async () => {
    await spoonbox.up('--no-deps', '--force-recreate', 'gateway');
    const user = spoonbox.newUser('bob');
    const shell = await until('a terminal', () =>
      openShell(spoonbox, user, { ca: spoonbox.certificate }).catch(() => null),
    );
    expect(await shell.run('echo here')).toEqual({ code: 0, output: 'here' });
    await shell.detach();
  });

  test('answers by the name of the worker that was here before', async () => {
    const ask = "fetch('http://spoon-agent-worker:3921/readyz').then((answer) => console.log(String(answer.status)))";
    expect(await spoonbox.exec('controller', 'node', '--eval', ask)).toBe('200\n');
  });

  test('has the command in the container of the controller', async () => {
    const boxes = await spoonbox.exec('controller', 'spoonbox', 'get', 'boxes', '-o', 'json');
    expect(JSON.parse(boxes)).toMatchObject({ items: expect.any(Array) });
  });

  test('leaves the boxes running where it is taken down, and nothing else', async () => {
    const user = spoonbox.newUser('carol');
    const shell = await openShell(spoonbox, user, { ca: spoonbox.certificate });
    await shell.run('true');
    const box = (): Promise<Docker.ContainerInspectInfo> =>
      spoonbox.docker.docker.getContainer(boxNameOf(user)).inspect();
    const before = await box();
    await spoonbox.compose('down');
    expect(await spoonbox.leftOvers()).toEqual([]);
    const { Id, State } = await box();
    expect([Id, State.Running, State.StartedAt]).toEqual([before.Id, true, before.State.StartedAt]);
  });
});

describeCompose('compose.yml, with the filtering socket', () => {
  test('gives a gateway no way to the socket of the engine', async () => {
    await using spoonbox = await createComposeInstallation(image, ['filter']);
    const { services } = Merged.parse(parse(await spoonbox.compose('config')));
    const isMounted = (service: string): boolean | undefined =>
      services[service]?.volumes?.some((volume) => sourceOf(volume) === '/var/run/docker.sock');
    expect(['controller', 'filter', 'gateway'].map(isMounted)).toEqual([true, true, false]);
    expect(services.gateway?.environment.DOCKER_HOST).toBe('unix:///run/spoonbox/docker.sock');
    expect(services.gateway?.volumes?.map(sourceOf)).toContain('filter');
    const given = Object.keys(services.filter?.environment ?? {});
    expect(given.filter((name) => /SECRET|TOKEN|KEY|REDIS/.test(name))).toEqual([]);
  });
});

/** docker-compose 1.29 writes a volume as a line, its successors as a map. */
const Volume = z.union([z.string(), z.object({ source: z.string() })]);
const Merged = z.object({
  services: z.record(
    z.string(),
    z.object({ environment: z.record(z.string(), z.unknown()).default({}), volumes: z.array(Volume).optional() }),
  ),
});

function sourceOf(volume: z.infer<typeof Volume>): string | undefined {
  return typeof volume === 'string' ? volume.split(':', 1)[0] : volume.source;
}
