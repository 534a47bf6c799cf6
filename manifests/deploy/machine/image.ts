import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildImage } from './build-image.ts';
import type { Engine } from './docker.ts';
import { places } from './places.ts';
import { Refusal } from './refusal.ts';
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
  const build = {
    name: 'box',
    dir: places.boxImage,
    dockerfile: 'Dockerfile',
    files,
    tag: image,
    labels: { [sourceLabel]: source },
  };
  try {
    await buildImage(engine, build, options.mayInstall, step, signal);
  } catch (error) {
    if (!(error instanceof Refusal) || !isThere || options.rebuild) throw error;
    step.done(`${image}, of an older manifests/images/box: ${error.message}`);
    return;
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
