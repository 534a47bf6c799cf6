import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildImage, imageLabel, stageLabel } from '../../manifests/deploy/machine/build-image.ts';
import { Engine } from '../../manifests/deploy/machine/docker.ts';
import { boxImage } from '../support/docker.ts';

/** What our builds leave on the engine: the image, and one stage as the cache of the next build. */

const dockerfile = `FROM ${boxImage} AS stage
COPY text /text
ARG IMAGE_STAGE_OF=
LABEL ${stageLabel}=$IMAGE_STAGE_OF
FROM ${boxImage}
COPY --from=stage /text /text
`;
const docker = new Docker();
const engine = new Engine(undefined);
const name = `test-${randomBytes(4).toString('hex')}`;
const tag = `spoonbox-test/${name}:1`;
const quiet = { progress: () => {}, done: () => {} };
let dir: string;
let builds = 0;
let image: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'spoonbox-image-'));
  await writeFile(join(dir, 'Dockerfile'), dockerfile);
});
beforeEach(async () => {
  image = await build();
});
afterAll(async () => {
  for (const id of [tag, ...(await withLabel(stageLabel))]) await docker.getImage(id).remove();
  await rm(dir, { recursive: true });
});

/** The id of the image, of sources that no build before had. */
async function build(): Promise<string> {
  builds += 1;
  await writeFile(join(dir, 'text'), `${name} ${builds}`);
  const files = ['Dockerfile', 'text'];
  const signal = AbortSignal.timeout(60_000);
  await buildImage(engine, { name, dir, dockerfile: 'Dockerfile', files, tag }, false, quiet, signal);
  return (await docker.getImage(tag).inspect()).Id;
}

/** Ids of images with a label of this test, named or not. */
async function withLabel(label: string): Promise<string[]> {
  const found = await docker.listImages({ filters: JSON.stringify({ label: [label] }) });
  return found.filter(({ Labels }) => Labels[label]?.startsWith(name)).map(({ Id }) => Id);
}

test('a build removes the image that it replaces, and all stages but its own', async () => {
  const [stage] = await withLabel(stageLabel);
  const newer = await build();
  expect(newer).not.toBe(image);
  expect(await withLabel(imageLabel)).toEqual([newer]);
  const stages = await withLabel(stageLabel);
  expect(stages).toHaveLength(1);
  expect(stages).not.toContain(stage);
});

test('an image that a container is made of stays, and goes with a later build', async () => {
  const container = await docker.createContainer({ Image: image, Labels: { 'dev.spoonbox.test': name } });
  const newer = await build();
  expect((await withLabel(imageLabel)).toSorted()).toEqual([image, newer].toSorted());
  await container.remove();
  const newest = await build();
  expect(await withLabel(imageLabel)).toEqual([newest]);
});

test('an image that somebody made of it stays, though it has its labels and no name', async () => {
  const container = await docker.createContainer({ Image: image, Labels: { 'dev.spoonbox.test': name } });
  const { Id: theirs } = await container.commit();
  await container.remove();
  await build();
  expect(await withLabel(imageLabel)).toContain(theirs);
  await docker.getImage(theirs).remove();
  await build();
  expect(await withLabel(imageLabel)).toHaveLength(1);
});

test('sources that have not changed are not built again', async () => {
  builds -= 1;
  expect(await build()).toBe(image);
  expect(await withLabel(stageLabel)).toHaveLength(1);
});
