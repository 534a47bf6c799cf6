import { chown, mkdir, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BoxView } from '#shared/api-schemas.ts';
import type { UserName } from '#shared/identity.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { boxImage } from '../support/docker.ts';
import { createTestRegistry, tarOf, type TestRegistry } from '../support/registry.ts';
import { classesFolder, condition, seen, takeLease } from './fault-world.ts';
import { createInstallation, type Installation, ready } from './installation.ts';

/** What can keep a box from being made: its image, its probe, its class, its home. */

let installation: Installation;
let controller: ControllerProcess;
let registry: TestRegistry;
/** images of this test alone, by what is wrong with them */
let images: Readonly<Record<'absent' | 'unknown' | 'shellless' | 'shelllessHome', string>>;
let classes: string;

beforeAll(async () => {
  installation = await createInstallation();
  registry = await createTestRegistry({ chunks: 1, msPerChunk: 0 });
  const { installation: id, workdir } = installation.world.docker;
  images = {
    absent: `spoonbox-test/absent-${id}:1`,
    unknown: registry.reference.replace(/slow:1$/, `unknown-${id}:missing`),
    shellless: `spoonbox-test/shellless-${id}:1`,
    shelllessHome: `spoonbox-test/shellless-home-${id}:1`,
  };
  await importShellless(images.shellless);
  await importShellless(images.shelllessHome);
  classes = await classesFolder(join(workdir, 'classes'), {
    absent: { image: images.absent, pullPolicy: 'Never' },
    unknown: { image: images.unknown },
    shellless: { image: images.shellless },
    'shellless-home': { image: images.shelllessHome },
    picky: {
      readiness: { command: ['/bin/sh', '-c', 'test -e good || { echo "no good" >&2; exit 7; }'], timeout: '10s' },
    },
    passing: {},
  });
  controller = await installation.controller({ SPOON_CLASSES: classes });
});
afterAll(async () => {
  await installation[Symbol.asyncDispose]();
  await registry.close();
  const { docker } = installation.world.docker;
  // One that a test did not get to is not there.
  const removals = Object.values(images).map((image) => docker.getImage(image).remove({ force: true }));
  await Promise.allSettled(removals);
});

async function importShellless(reference: string): Promise<void> {
  const [repo = '', tag = ''] = reference.split(/:(?=[^/]*$)/);
  const tar = Readable.from([tarOf('empty', Buffer.alloc(0))]);
  await buffer(await installation.world.docker.docker.importImage(tar, { repo, tag }));
}

/** Puts the box image in the place of whatever has this name. */
async function heal(reference: string): Promise<void> {
  const [repo = '', tag = ''] = reference.split(/:(?=[^/]*$)/);
  await installation.world.docker.docker.getImage(boxImage).tag({ repo, tag });
}

async function userWithHome(name: string): Promise<UserName> {
  const user = installation.newUser(name);
  await installation.world.makeHome(user);
  return user;
}

const homeOf = (user: UserName): string => join(installation.world.docker.workdir, 'homes', user);
const waits = (b: BoxView): boolean => b.phase === 'failed' && /; next try in /.test(b.why[0] ?? '');
const gaveReason = (reason: string) => (b: BoxView) => waits(b) && b.conditions[0]?.reason === reason;

describe.concurrent('an image', () => {
  test('that is absent and must not be pulled is told, and the box comes when it is there', async () => {
    const user = await userWithHome('absent');
    await takeLease(controller, user, { class: 'absent' });
    const failed = await seen(controller, user, 'waits for its image', gaveReason('ImageMissing'));
    expect(condition(failed, 'ImageReady')).toEqual({
      status: 'False',
      reason: 'ImageMissing',
      message: `${images.absent} is absent and pullPolicy is Never`,
    });
    await heal(images.absent);
    await ready(controller, user);
  });

  test("that no registry has is told in the engine's words, with the next try, and the box comes when it is there", async () => {
    const user = await userWithHome('unknown');
    await takeLease(controller, user, { class: 'unknown' });
    const failed = await seen(controller, user, 'waits to pull again', gaveReason('PullFailed'));
    expect(condition(failed, 'ImageReady')).toMatchObject({ status: 'False', reason: 'PullFailed' });
    expect(condition(failed, 'ImageReady').message).toMatch(/manifest.* unknown/);
    await heal(images.unknown);
    await ready(controller, user);
  });

  test.each([
    ['shellless', 'ContainerDied'],
    ['shellless-home', 'HomeFailed'],
  ] as const)('without a shell (class %s) is told as %s, and the box comes when it has one', async (name, reason) => {
    // A home that is missing is made by a container of the same image.
    const user = reason === 'ContainerDied' ? await userWithHome(name) : installation.newUser(name);
    await takeLease(controller, user, { class: name });
    const failed = await seen(controller, user, 'waits to start again', gaveReason(reason));
    expect(failed.message).toContain('/bin/sh');
    await heal(name === 'shellless' ? images.shellless : images.shelllessHome);
    await ready(controller, user);
    expect(await installation.containers(user)).toHaveLength(1);
  });
});

test('a readiness command that fails is told with its words; once it works the box is ready', async () => {
  const user = await userWithHome('picky');
  await takeLease(controller, user, { class: 'picky' });
  const failed = await seen(controller, user, 'waits to be probed again', gaveReason('ProbeFailed'));
  expect(condition(failed, 'ExecReady')).toMatchObject({ status: 'False', reason: 'ProbeFailed' });
  expect(failed.message).toBe('the readiness command ended with exit code 7: no good');
  await writeFile(join(homeOf(user), 'good'), '');
  await ready(controller, user);
});

describe.concurrent('in place of a home', () => {
  test.each(['a symbolic link', 'a file'])('%s is told, not followed, not written to, not moved', async (what) => {
    const user = installation.newUser(what === 'a file' ? 'file' : 'link');
    const target = join(installation.world.docker.workdir, `precious-${user}`);
    await mkdir(target);
    const before = await stat(target);
    await (what === 'a file' ? writeFile(homeOf(user), 'precious') : symlink(target, homeOf(user)));
    await takeLease(controller, user);
    const failed = await seen(controller, user, 'waits for its home', gaveReason('HomeFailed'));
    expect(condition(failed, 'HomeReady')).toMatchObject({ status: 'False', reason: 'HomeFailed' });
    expect(failed.message).toContain('move it away');
    expect(await readdir(target)).toEqual([]);
    expect(await stat(target)).toMatchObject({ uid: before.uid, mode: before.mode, ctimeMs: before.ctimeMs });
    expect(await installation.containers(user)).toEqual([]);
    await rm(homeOf(user));
    await ready(controller, user);
    expect(await stat(homeOf(user))).toMatchObject({ uid: 1000, gid: 1000 });
  });

  test("root's empty directory, as an engine makes it, is given to the box's user", async () => {
    const user = installation.newUser('roots');
    await mkdir(homeOf(user), { recursive: true });
    await chown(homeOf(user), 0, 0);
    await takeLease(controller, user);
    const box = await ready(controller, user);
    expect(await stat(homeOf(user))).toMatchObject({ uid: 1000, gid: 1000 });
    expect(condition(box, 'HomeReady')).toMatchObject({ status: 'True' });
  });
});

test('a class that has vanished leaves its boxes alone and says so; what it is needed for waits until it is back', async () => {
  const user = await userWithHome('passing');
  await takeLease(controller, user, { class: 'passing' });
  const box = await ready(controller, user);
  const startedAt = await installation.startedAt(box.containerId);
  await controller.stop();
  const fewer = await installation.controller({});
  const now = await seen(
    fewer,
    user,
    'has no class',
    (b) => b.ready && condition(b, 'ImageReady').reason === 'ClassUnknown',
  );
  expect(now.containerId).toBe(box.containerId);
  expect(await installation.startedAt(box.containerId)).toBe(startedAt);
  const refused = await takeLease(fewer, installation.newUser('other'), { class: 'passing' });
  expect(refused).toMatchObject({ status: 422, json: { code: 'class-unknown' } });
  await installation.world.docker.docker.getContainer(box.containerId).remove({ force: true });
  const failed = await seen(fewer, user, 'waits for its class', gaveReason('ClassUnknown'));
  expect(failed.message).toContain('"passing"');
  await fewer.stop();
  controller = await installation.controller({ SPOON_CLASSES: classes });
  await ready(controller, user);
});
