import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BoxView, ClassList } from '#shared/api-schemas.ts';
import type { UserName } from '#shared/identity.ts';
import { type ClassRollout, PullsAsked, type PullRound, RolloutView } from '#shared/rollout.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import {
  type DockerRegistry,
  publish,
  registryUser,
  startDockerRegistry,
  whyNoRegistry,
} from '../support/docker-registry.ts';
import { classesFolder, condition, releaseLease, seen } from './fault-world.ts';
import { createInstallation, type Installation, lease, until } from './installation.ts';
import { smallImage } from './small-image.ts';

/** A newer image in a real private registry, and how it reaches boxes: those that nobody holds, and no others. */

describe.skipIf(whyNoRegistry !== undefined)('a tag that moves in a private registry', () => {
  let installation: Installation;
  let controller: ControllerProcess;
  let registry: DockerRegistry;
  let folder: string;
  let image: string;
  let system: Buffer;
  /** ids of the image that were published, the newest last */
  const ids: string[] = [];
  let [alice, bob]: UserName[] = [];

  beforeAll(async () => {
    [installation, registry, folder] = await Promise.all([
      createInstallation(),
      startDockerRegistry({ isPrivate: true }),
      mkdtemp(join(tmpdir(), 'spoonbox-docker-config-')),
    ]);
    system = await smallImage(docker());
    image = `${registry.address}/spoonbox/box:1`;
    await login(registryUser.password);
    await publishAnother();
    [alice, bob] = [installation.newUser('alice'), installation.newUser('bob')];
    const tools = [
      { name: 'bash', command: ['bash', '--version'], version: 'version (\\d+)' },
      { name: 'codex', command: ['codex', '--version'] },
    ];
    const classes = await classesFolder(join(installation.world.docker.workdir, 'classes'), {
      default: { image, pullPolicy: 'Always', tools },
    });
    controller = await installation.controller({ SPOON_CLASSES: classes, DOCKER_CONFIG: folder });
  });
  afterAll(async () => {
    await installation[Symbol.asyncDispose]();
    await Promise.allSettled(ids.map((id) => docker().getImage(id).remove({ force: true })));
    await Promise.all([registry.close(), rm(folder, { recursive: true, force: true })]);
  });

  const docker = () => installation.world.docker.docker;
  const user = (name: UserName | undefined): UserName => name ?? installation.newUser('none');

  async function login(password: string): Promise<void> {
    const auth = Buffer.from(`${registryUser.username}:${password}`).toString('base64');
    await writeFile(join(folder, 'config.json'), JSON.stringify({ auths: { [registry.address]: { auth } } }));
  }
  async function publishAnother(): Promise<string> {
    const id = await publish(docker(), image, system);
    ids.push(id);
    return id;
  }
  async function imageOf(box: BoxView): Promise<string> {
    return (
      await docker()
        .getContainer(box.containerId ?? '')
        .inspect()
    ).Image;
  }
  async function classNow(): Promise<ClassRollout | undefined> {
    return RolloutView.parse((await controller.ask('GET', '/v1/rollout')).json).classes[0];
  }
  async function pullAgain(): Promise<PullRound> {
    const { askedAt } = PullsAsked.parse((await controller.ask('POST', '/v1/rollout/pulls')).json);
    return await until('the images are pulled again', async () => {
      const { pulls } = RolloutView.parse((await controller.ask('GET', '/v1/rollout')).json);
      return pulls !== null && pulls.askedAt >= askedAt && pulls.ended ? pulls : null;
    });
  }

  test('is pulled once for all who wait', async () => {
    const before = registry.tagRequests();
    const boxes = await Promise.all([lease(controller, user(alice)), lease(controller, user(bob))]);
    expect(await Promise.all(boxes.map(imageOf))).toEqual([ids[0], ids[0]]);
    expect(registry.tagRequests() - before).toBe(1);
  });

  test('is proved to have the tools that the class promises, and not to have the others', async () => {
    const [bash, codex] = await until('its tools are proved', async () => {
      const { items } = ClassList.parse((await controller.ask('GET', '/v1/classes')).json);
      const tools = items[0]?.tools ?? [];
      return tools.every(({ state }) => state !== 'unproved') ? tools : null;
    });
    expect(bash).toEqual({ name: 'bash', state: 'present', version: '5', message: '' });
    expect(codex).toMatchObject({ name: 'codex', state: 'missing', version: '' });
    expect(codex?.message).toMatch(/codex/);
  });

  test('reaches the box of whoever lets go, and leaves the one that is held as it is', async () => {
    const held = await lease(controller, user(alice), 0);
    const newer = await publishAnother();
    expect((await pullAgain()).images).toEqual([{ image, state: 'pulled', progress: null, message: '' }]);
    await seen(controller, user(bob), 'it is of before', (box) => condition(box, 'UpToDate').reason === 'SpecDrift');
    const heldBy = ['job lease of test'];
    expect(await classNow()).toMatchObject({
      imageId: newer,
      upToDate: 0,
      waiting: [alice, bob].map((of) => ({ user: of, fields: ['imageId'], heldBy })),
    });

    await releaseLease(controller, user(bob));
    const gone = await seen(controller, user(bob), 'it is gone', (box) => box.phase === 'absent');
    expect(gone.lastReap?.cause).toBe('rollout');
    expect(await imageOf(await lease(controller, user(bob)))).toBe(newer);
    expect((await lease(controller, user(alice), 0)).containerId).toBe(held.containerId);
    expect(await classNow()).toMatchObject({ upToDate: 1, waiting: [{ user: alice }] });
  });

  test('waits while rollouts are paused, and goes on after that', async () => {
    await controller.ask('PUT', '/v1/rollout/pause', { paused: true, reason: 'a release' });
    await releaseLease(controller, user(alice));
    const waits = await seen(controller, user(alice), 'nobody holds it', (box) => box.step === 'idle');
    expect(condition(waits, 'UpToDate').message).toMatch(
      /^differs in imageId; rollouts are paused by .* \(a release\)/,
    );
    const { json } = await controller.ask('GET', `/v1/boxes/${user(alice)}/plan`);
    expect(json).toMatchObject({ command: 'none' });
    await controller.ask('PUT', '/v1/rollout/pause', { paused: false });
    await seen(controller, user(alice), 'it is gone', (box) => box.lastReap?.cause === 'rollout');
    expect(await imageOf(await lease(controller, user(alice)))).toBe(ids.at(-1));
    expect(await classNow()).toMatchObject({ upToDate: 2, waiting: [] });
  });

  test('that cannot be pulled for a wrong login is told with the registry and the file, and changes no box', async () => {
    await login('not-this-one');
    const [pull] = (await pullAgain()).images;
    expect(pull?.state).toBe('failed');
    const told = `(registry ${registry.address} was asked as ${registryUser.username}, by ${join(folder, 'config.json')})`;
    expect(pull?.message).toContain(told);
    expect(controller.lines.join('\n')).not.toContain('not-this-one');
    expect(await classNow()).toMatchObject({ upToDate: 2, waiting: [] });
  });
});
