import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from './docker.ts';
import { places } from './places.ts';
import { basesOf, ensurePublicImage } from './public-image.ts';
import { Refusal, reasonOf } from './refusal.ts';
import type { Settings } from './settings.ts';
import type { Step } from './steps.ts';

export const ownBoxImage = 'spoonbox/box:latest';

/** Builds the box image where it is not there. An image of somebody else's is the controller's to pull. */
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
  if (!options.rebuild && (await engine.hasImage(image))) {
    step.done(image);
    return;
  }
  for (const base of basesOf(join(places.boxImage, 'Dockerfile'))) {
    await ensurePublicImage(engine, base, options.mayInstall, step, signal);
  }
  let part = '';
  try {
    await engine.build(
      { dir: places.boxImage, files: readdirSync(places.boxImage), tag: image },
      (line) => {
        part = /^Step (\d+\/\d+)/.exec(line)?.[1] ?? part;
        step.progress(`building, step ${part}: ${line}`);
      },
      signal,
    );
  } catch (error) {
    signal.throwIfAborted();
    throw new Refusal(`the box image could not be built from ${places.boxImage} (step ${part}): ${reasonOf(error)}`);
  }
  step.done(`${image} built`);
}
