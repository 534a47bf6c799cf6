import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { buildPackage } from '../package/build.ts';
import { stateDir } from './machine/places.ts';
import { runScript } from './machine/script.ts';
import { say } from './machine/steps.ts';

await runScript('npm run pack', async () => {
  const folder = join(stateDir, 'pack');
  await mkdir(folder, { recursive: true });
  say(await buildPackage(folder));
  return 0;
});
