import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { importStandIn } from '../../images/stand-in.ts';
import type { Engine } from './docker.ts';
import { places } from './places.ts';
import { Refusal, reasonOf } from './refusal.ts';
import type { Settings } from './settings.ts';
import { type Step, say } from './steps.ts';

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
  await ensureBase(
    engine,
    baseOf(readFileSync(join(places.boxImage, 'Dockerfile'), 'utf8')),
    options.mayInstall,
    step,
    signal,
  );
  let part = '';
  try {
    await engine.build(
      places.boxImage,
      readdirSync(places.boxImage),
      image,
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

async function ensureBase(
  engine: Engine,
  base: string,
  mayInstall: boolean,
  step: Step,
  signal: AbortSignal,
): Promise<void> {
  if (await engine.hasImage(base)) return;
  try {
    step.progress(`pulling ${base}`);
    await engine.pull(base, (text) => step.progress(`pulling ${base}: ${text}`), signal);
  } catch (error) {
    signal.throwIfAborted();
    say(`    ${base} cannot be pulled (${reasonOf(error)}): making a local stand-in of it`);
    await importStandIn(engine, base, mayInstall, step, signal);
  }
}

function baseOf(dockerfile: string): string {
  const base = /^FROM\s+(\S+)/m.exec(dockerfile)?.[1];
  if (base === undefined) throw new Refusal(`${places.boxImage}/Dockerfile names no base image`);
  return base;
}
