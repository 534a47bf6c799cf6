import { join } from 'node:path';

/**
 * Half of what a start of ours takes is finding and reading a thousand modules, and a run of all tests starts many hundred
 * processes: their programs are made into a file each before the first test (`build-programs.ts`). As they are in `npm start`
 * and in the images, from their sources, run those of `e2e/compose`, `e2e/traces`, `gateway/process.docker` and `cli/wrapper`.
 */
export const programs = {
  controller: fromHere('../../controller/src/main.ts'),
  gateway: fromHere('../../gateway/src/main.ts'),
  cli: fromHere('../../controller/cli/spoonbox.js'),
  dyingController: fromHere('../crash/failpoint-main.ts'),
} as const;

/** The folder that they are in; empty, or absent, where their sources are to be run. */
export const builtVariable = 'SPOONBOX_BUILT_PROGRAMS';

/** What is run for the program that this file of sources is. */
export function builtOf(source: string): string {
  const folder = process.env[builtVariable] ?? '';
  const [name] = Object.entries(programs).find(([, path]) => path === source) ?? [];
  return folder === '' || name === undefined ? source : join(folder, `${name}.mjs`);
}

function fromHere(path: string): string {
  return new URL(path, import.meta.url).pathname;
}
