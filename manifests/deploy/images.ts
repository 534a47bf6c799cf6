import { ensureEngine } from './machine/engine.ts';
import { ensureBoxImage } from './machine/image.ts';
import { makeStateDir } from './machine/places.ts';
import { composePublicImages, ensurePublicImage } from './machine/public-image.ts';
import { readFlags, runScript } from './machine/script.ts';
import { buildServerImage, serverImage } from './machine/server-image.ts';
import { readSettings } from './machine/settings.ts';
import { step } from './machine/steps.ts';

const usage = `Usage: npm run images [-- FLAGS]

Has all images on the Docker engine that compose.yml and its overlays need: builds spoonbox/server and spoonbox/box, pulls Redis
and nginx. A public image that cannot be pulled is made here from Debian's packages, under the same name; that is told.

  --rebuild-box   build the box image even if it is there
  --no-install    install no system packages: refuse instead
  --help          this text`;

await runScript('npm run images', async ({ signal }) => {
  const flags = readFlags(usage, ['rebuild-box', 'no-install'], process.argv.slice(2));
  if (typeof flags === 'number') return flags;
  makeStateDir();
  const settings = readSettings();
  const mayInstall = !flags.has('no-install');
  const engine = await step('Docker engine', (s) => ensureEngine(settings, mayInstall, s, signal));
  await step('Server image', (s) => buildServerImage(engine, serverImage, mayInstall, s, signal));
  await step('Box image', (s) =>
    ensureBoxImage(engine, settings, { rebuild: flags.has('rebuild-box'), mayInstall }, s, signal),
  );
  for (const name of composePublicImages) {
    await step(name, (s) => ensurePublicImage(engine, name, mayInstall, s, signal));
  }
  return 0;
});
