import { join } from 'node:path';
import type { Build, Engine } from './docker.ts';
import { checkoutId } from './places.ts';
import { basesOf, ensurePublicImage } from './public-image.ts';
import { Refusal, reasonOf } from './refusal.ts';
import type { Step } from './steps.ts';

/** On an image that `buildImage` made: which one it is. */
export const imageLabel = 'dev.spoonbox.image';
/**
 * The last layer of a stage that an image only copies from: of which image, and of which checkout, because a build of another one may
 * be under way on the same engine. A Dockerfile takes it as the argument IMAGE_STAGE_OF. The last such stage is the cache of the next build.
 */
export const stageLabel = 'dev.spoonbox.image-stage';

export interface ImageBuild extends Build {
  readonly dockerfile: string;
  /** as `dev.spoonbox.image` says it: `box`, `server` */
  readonly name: string;
}

/**
 * Builds an image, its bases made or pulled before; what has not changed is not done again. Then removes what earlier builds of it
 * left without a name and nobody uses: images that it replaces, and stages of this checkout. Throws a Refusal where it cannot be built.
 */
export async function buildImage(
  engine: Engine,
  { name, ...build }: ImageBuild,
  mayInstall: boolean,
  step: Step,
  signal: AbortSignal,
): Promise<void> {
  const file = join(build.dir, build.dockerfile);
  let part = '';
  const made: string[] = [];
  const stage = `${name}-${checkoutId}`;
  try {
    for (const base of basesOf(file)) await ensurePublicImage(engine, base, mayInstall, step, signal);
    await engine.build(
      {
        ...build,
        labels: { ...build.labels, [imageLabel]: name },
        buildArgs: { ...build.buildArgs, IMAGE_STAGE_OF: stage },
      },
      (line) => {
        part = /^Step (\d+\/\d+)/.exec(line)?.[1] ?? part;
        made.push(...(/^---> ([0-9a-f]{12})$/.exec(line)?.slice(1) ?? []));
        step.progress(`building, step ${part}: ${line}`);
      },
      signal,
    );
  } catch (error) {
    signal.throwIfAborted();
    throw new Refusal(`the image ${build.tag} could not be built from ${file} (step ${part}): ${reasonOf(error)}`);
  }
  const left = [
    ...(await engine.namelessImages(imageLabel, name)),
    ...(await engine.namelessImages(stageLabel, stage)),
  ];
  for (const id of left) {
    if (!made.some((own) => id.startsWith(`sha256:${own}`))) await engine.removeUnused(id);
  }
}
