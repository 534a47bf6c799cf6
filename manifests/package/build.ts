import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type InputOptions, type RolldownOutput, rolldown } from 'rolldown';
import { dts } from 'rolldown-plugin-dts';
import { z } from 'zod';
import { thirdPartyLicences } from './licences.ts';

/** The oldest Node that the package runs on. */
const oldestNode = '20.12';
const root = new URL('../../', import.meta.url).pathname;
const here = join(root, 'manifests/package');

const Manifest = z.object({ version: z.string(), description: z.string(), license: z.string() });

/**
 * Makes the package that is installed from npm, and answers its tarball: Node runs no TypeScript of installed packages. All that
 * is used is in it, so that it has no dependencies: the SDK, the client of terminals for browsers and Node, and the CLI.
 */
export async function buildPackage(folder: string): Promise<string> {
  const manifest = Manifest.parse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')));
  const place = join(folder, 'package');
  const dist = join(place, 'dist');
  await rm(place, { recursive: true, force: true });
  await mkdir(dist, { recursive: true });

  const node = await bundle(dist, {
    input: { sdk: join(here, 'sdk.ts'), cli: join(root, 'controller/cli/main.ts') },
    platform: 'node',
    // What `ws` uses where it is there.
    external: ['bufferutil', 'utf-8-validate'],
  });
  const browser = await bundle(dist, { input: { terminal: join(here, 'terminal.ts') }, platform: 'browser' });
  await bundleTypes(dist);

  await writeFile(join(place, 'package.json'), `${JSON.stringify(packageJson(manifest), null, 2)}\n`);
  await cp(join(here, 'README.md'), join(place, 'README.md'));
  await cp(join(root, 'LICENSE'), join(place, 'LICENSE'));
  const modules = [...node.output, ...browser.output].flatMap((part) => (part.type === 'chunk' ? part.moduleIds : []));
  await writeFile(join(place, 'THIRD-PARTY-LICENSES'), await thirdPartyLicences(modules));

  const { stdout } = await promisify(execFile)('npm', ['pack', '--json', '--pack-destination', folder], { cwd: place });
  const [{ filename }] = z.tuple([z.object({ filename: z.string() })]).parse(JSON.parse(stdout));
  return join(folder, filename);
}

async function bundle(dir: string, options: InputOptions): Promise<RolldownOutput> {
  const inject: Record<string, [string, string]> = {
    'Promise.withResolvers': [join(here, 'with-resolvers.ts'), 'withResolvers'],
  };
  await using build = await rolldown({ ...options, cwd: root, transform: { target: 'node20', inject } });
  return await build.write({
    dir,
    format: 'esm',
    chunkFileNames: 'chunk-[hash].js',
    banner: ({ name }) => (name === 'cli' ? '#!/usr/bin/env node' : ''),
  });
}

async function bundleTypes(dir: string): Promise<void> {
  await using build = await rolldown({
    input: { sdk: join(here, 'sdk.ts'), terminal: join(here, 'terminal.ts') },
    cwd: root,
    platform: 'node',
    // It takes the folder of the tsconfig for the root of all sources.
    plugins: [dts({ emitDtsOnly: true, tsconfig: join(root, 'tsconfig.base.json'), logger: quiet })],
    checks: { pluginTimings: false },
    onLog(level, log, otherwise) {
      // Of zod's languages, none of which is used.
      if (!/locales\/.*uses CommonJS dts syntax/.test(log.message)) otherwise(level, log);
    },
  });
  await build.write({ dir, format: 'esm' });
}

/** It tells which compiler it uses, and that a later one is quicker. */
const quiet = { info: () => {}, warn: () => {}, error: (...words: unknown[]) => console.error(...words) };

function packageJson({ version, description, license }: z.infer<typeof Manifest>): object {
  return {
    name: 'spoonbox',
    version,
    description,
    license,
    type: 'module',
    engines: { node: `>=${oldestNode}` },
    bin: { spoonbox: 'dist/cli.js' },
    exports: {
      '.': { types: './dist/sdk.d.ts', default: './dist/sdk.js' },
      './terminal': { types: './dist/terminal.d.ts', default: './dist/terminal.js' },
      './package.json': './package.json',
    },
    files: ['dist', 'THIRD-PARTY-LICENSES'],
    sideEffects: false,
  };
}
