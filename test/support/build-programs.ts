import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Plugin, rolldown } from 'rolldown';
import { makeStateDir, stateDir } from '../../manifests/deploy/machine/places.ts';
import { builtVariable, programs } from './built-programs.ts';

const folder = join(stateDir, 'test-programs');

/** What is read from beside a module is still read from there; and the CLI's wrapper, too, has what it imports in it. */
const placesOfSources: Plugin = {
  name: 'places-of-sources',
  transform: {
    filter: { id: { exclude: /node_modules/ }, code: /import\.meta\.url/ },
    handler: (code, id) =>
      code
        .replace('import(main.href)', `import('./main.ts')`)
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(id).href)),
  },
};

/** Before the first test: makes each program into one file, and a few that they share. */
export async function setup(): Promise<void> {
  makeStateDir();
  await mkdir(folder, { recursive: true });
  await using build = await rolldown({
    input: programs,
    platform: 'node',
    // What is used where it is there.
    external: [/\.node$/, 'cpu-features', 'bufferutil', 'utf-8-validate'],
    plugins: [placesOfSources],
  });
  // The same names each time: Node keeps what it compiled by name, and another run may be about to read them.
  const { output } = await build.generate({ entryFileNames: '[name].mjs', chunkFileNames: '[name].part.mjs' });
  for (const part of output) {
    if (part.type !== 'chunk') throw new Error(`${part.fileName} is no program`);
    const written = join(folder, `${part.fileName}.${process.pid}`);
    await writeFile(written, part.code);
    await rename(written, join(folder, part.fileName));
  }
  process.env[builtVariable] = folder;
}
