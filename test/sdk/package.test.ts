import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { buildPackage } from '../../manifests/package/build.ts';
import { boxOf, createInstallation, type Installation, reach } from '../e2e/installation.ts';
import type { ControllerProcess } from '../support/controller-process.ts';

/** The package as somebody else has it: installed from its tarball into an empty folder, run by another Node. */

const root = new URL('../../', import.meta.url).pathname;
const run = promisify(execFile);
/** A compiler and two bundles, on a machine that may be busy. */
const packingMs = 300_000;

let folder: string;
let installation: Installation;
let controller: ControllerProcess;
let environment: NodeJS.ProcessEnv;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spoonbox-package-'));
  const tarball = await buildPackage(folder);
  await writeFile(join(folder, 'package.json'), '{"private":true,"type":"module"}');
  // Without dependencies no registry is asked.
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', tarball], { cwd: folder });
  installation = await createInstallation();
  await installation.gateway();
  controller = await installation.controller();
  const { server, token } = reach(controller);
  environment = { ...process.env, SPOONBOX_SERVER: server, SPOONBOX_TOKEN: token };
}, packingMs);
afterAll(async () => {
  await installation?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

test('it brings what it needs, licences too, and nothing of its own sources’ types', async () => {
  const read = (file: string): Promise<string> => readFile(join(folder, 'node_modules/spoonbox', file), 'utf8');
  expect(JSON.parse(await read('package.json'))).not.toHaveProperty('dependencies');
  expect(await read('LICENSE')).toContain('MIT');
  expect(await read('THIRD-PARTY-LICENSES')).toMatch(/^zod$/m);
  for (const file of ['dist/sdk.js', 'dist/terminal.js', 'dist/cli.js', 'dist/sdk.d.ts', 'dist/terminal.d.ts']) {
    expect(await read(file)).not.toMatch(/#shared|from ['"](zod|ws)['"]|\.ts['"]/);
  }
  // For browsers.
  expect(await read('dist/terminal.js')).not.toMatch(/from ['"]node:/);
});

test('a program in TypeScript type-checks against it, and holds a box under the oldest Node that is here', {
  timeout: packingMs,
}, async () => {
  const node = await oldestNode();
  await copyFile(new URL('package-program.ts', import.meta.url), join(folder, 'program.ts'));
  const typeRoots = [join(root, 'node_modules/@types')];
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        ...{ strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, module: 'nodenext' },
        ...{ target: 'es2022', lib: ['es2023', 'esnext.disposable', 'dom'], types: ['node'], typeRoots },
      },
      files: ['program.ts'],
    }),
  );
  const checked = await run(join(root, 'node_modules/.bin/tsc'), ['-p', folder], { cwd: folder }).catch(
    ({ stdout }: { stdout: string }) => ({ stdout }),
  );
  expect(checked.stdout).toBe('');
  const user = installation.newUser('alice');
  const { stdout } = await run(node, ['program.js', user], { cwd: folder, env: environment });
  expect(JSON.parse(stdout)).toEqual({
    exitCode: 7,
    stdout: 'in /home/spoon\n',
    stderr: 'err\n',
    openTerminal: 'function',
  });
  expect((await boxOf(controller, user)).leases).toEqual([]);
});

test('its command runs under the oldest Node that is here', async () => {
  const node = await oldestNode();
  const cli = join(folder, 'node_modules/.bin/spoonbox');
  const { stdout: help } = await run(node, [cli, '--help'], { cwd: folder });
  expect(help).toContain('Usage: spoonbox COMMAND');
  const user = installation.newUser('bob');
  const { stdout } = await run(node, [cli, 'run', '-n', user, '--', 'echo', 'done'], { cwd: folder, env: environment });
  expect(stdout).toBe('done\n');
});

test('the program of the README runs as it stands there', async () => {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const section = z.string().parse(/^## From a program\n(.*?)^## /ms.exec(readme)?.[1]);
  const program = z.string().parse(/^```js\n(.*?)^```/ms.exec(section)?.[1]);
  const user = installation.newUser('carol');
  await writeFile(join(folder, 'readme.js'), program.replaceAll('alice', user));
  const { stdout } = await run(process.execPath, ['readme.js'], { cwd: folder, env: environment });
  expect(stdout).toBe('3 hello from /home/spoon\n\n');
  expect((await boxOf(controller, user)).leases).toEqual([]);
});

/** The first on the PATH that is older than this one and new enough; else this one, which is said. */
async function oldestNode(): Promise<string> {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((dir) => dir !== dirname(process.execPath));
  for (const node of folders.map((dir) => join(dir, 'node')).filter((path) => existsSync(path))) {
    const { stdout } = await run(node, ['--version']);
    const major = Number(/^v(\d+)\./.exec(stdout)?.[1]);
    if (major >= 20 && major < 24) return node;
  }
  process.stderr.write('the package is tried with this Node only: there is no Node 20 or 22 on the PATH\n');
  return process.execPath;
}
