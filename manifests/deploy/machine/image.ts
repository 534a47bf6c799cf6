import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from './docker.ts';
import { places } from './places.ts';
import { basesOf, ensurePublicImage } from './public-image.ts';
import { Refusal, reasonOf } from './refusal.ts';
import type { Settings } from './settings.ts';
import type { Step } from './steps.ts';

export const ownBoxImage = 'spoonbox/box:latest';

/** On the image: of which files it was built. */
const sourceLabel = 'dev.spoonbox.image-source';

/** Builds the box image where it is not there, or of other files. An image of somebody else's is the controller's to pull. */
export async function ensureBoxImage(
  engine: Engine,
  settings: Settings,
  options: { readonly rebuild: boolean; readonly mayInstall: boolean },
  step: Step,
  signal: AbortSignal,
): Promise<void> {
  const image = settings.SPOON_BOX_IMAGE ?? ownBoxImage;
  if (image !== ownBoxImage) {
    step.done(`${image} (set by SPOON_BOX_IMAGE; the controller pulls it)`);
    return;
  }
  const files = readdirSync(places.boxImage).toSorted();
  const source = digestOf(files);
  const isThere = await engine.hasImage(image);
  if (!options.rebuild && isThere && (await engine.imageLabel(image, sourceLabel)) === source) {
    step.done(image);
    return;
  }
  let part = '';
  try {
    for (const base of basesOf(join(places.boxImage, 'Dockerfile'))) {
      await ensurePublicImage(engine, base, options.mayInstall, step, signal);
    }
    await engine.build(
      { dir: places.boxImage, files, tag: image, labels: { [sourceLabel]: source } },
      (line) => {
        part = /^Step (\d+\/\d+)/.exec(line)?.[1] ?? part;
        step.progress(`building, step ${part}: ${line}`);
      },
      signal,
    );
  } catch (error) {
    signal.throwIfAborted();
    if (isThere && !options.rebuild) {
      step.done(`${image}, of an older manifests/images/box: it could not be built anew (${reasonOf(error)})`);
      return;
    }
    throw new Refusal(`the box image could not be built from ${places.boxImage} (step ${part}): ${reasonOf(error)}`);
  }
  step.done(`${image} built`);
}

function digestOf(files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(places.boxImage, file)))
      .update('\0');
  return hash.digest('hex');
}
