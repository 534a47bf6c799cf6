import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDockerRuntime } from '../../controller/src/runtime/docker-runtime.ts';
import type { BoxRuntime } from '../../controller/src/runtime/port.ts';
import {
  type DockerRegistry,
  publish,
  registryUser,
  startDockerRegistry,
  whyNoRegistry,
} from '../support/docker-registry.ts';
import { faultOf } from './box-runtime-harness.ts';
import { type DockerHarness, makeDockerHarness } from './docker-harness.ts';

/** Logins for a real private registry, as `docker login` leaves them. */

const never = new AbortController().signal;
const { username, password } = registryUser;
const auth = Buffer.from(`${username}:${password}`).toString('base64');

describe.skipIf(whyNoRegistry !== undefined)('a private registry', () => {
  let harness: DockerHarness;
  let registry: DockerRegistry;
  let runtime: BoxRuntime;
  let reference: string;
  let id: string;
  let folder: string;
  const file = () => join(folder, 'config.json');

  beforeAll(async () => {
    [harness, registry, folder] = await Promise.all([
      makeDockerHarness(),
      startDockerRegistry({ isPrivate: true }),
      mkdtemp(join(tmpdir(), 'spoonbox-docker-config-')),
    ]);
    runtime = await createDockerRuntime({ ...harness.options, dockerConfig: folder });
    reference = `${registry.address}/spoonbox/private:1`;
    id = await publish(harness.world.docker, reference, 'private');
  });
  afterAll(async () => {
    await harness.world.docker
      .getImage(reference)
      .remove()
      .catch(() => {});
    await Promise.all([harness.dispose(), registry.close(), rm(folder, { recursive: true, force: true })]);
  });

  const pull = () => runtime.pull(reference, () => undefined, never);
  const write = (config: object) => writeFile(file(), JSON.stringify(config));

  test('without a login is refused, and the fault names the registry and the file', async () => {
    const fault = await faultOf(pull());
    expect(fault.operation).toBe('pull');
    expect(fault.message).toContain(`registry ${registry.address} was asked without a login: there is no ${file()}`);
    await write({ auths: { 'elsewhere.example': { auth } } });
    expect((await faultOf(pull())).message).toContain(`without a login: ${file()} has none for it`);
  });

  test('with a wrong login is refused, and the fault names who asked and the file, but no password', async () => {
    const wrong = Buffer.from(`${username}:not-this-one`).toString('base64');
    await write({ auths: { [registry.address]: { auth: wrong } } });
    const fault = await faultOf(pull());
    expect(fault.message).toContain(`(registry ${registry.address} was asked as ${username}, by ${file()})`);
    expect(JSON.stringify(fault)).not.toMatch(new RegExp(`not-this-one|${wrong}`));
  });

  test.each([
    ['under its address', () => ({ auths: { [registry.address]: { auth } } })],
    ['under a URL', () => ({ auths: { [`http://${registry.address}/v2/`]: { auth } } })],
    ['as name and password', () => ({ auths: { [registry.address]: { username, password } } })],
  ])('gives its image to a login %s, which is read at each pull', async (_how, config) => {
    await harness.world.docker
      .getImage(reference)
      .remove()
      .catch(() => {});
    await write(config());
    await pull();
    expect(await runtime.image(reference, never)).toEqual({ state: 'present', id });
  });
});
