import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { curlProgram } from '../support/curl.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { createInstallation, type Installation, reach } from './installation.ts';

/** The tour of manifests/docs/api.md, line by line as it stands there: each is answered with the status that it promises. */

const tour = new URL('../../manifests/docs/api.md', import.meta.url);
/** Every curl of the tour tells its status on standard error as well. */
const tellsStatus = `curl() { command curl -w '%{stderr}%{http_code}\\n' "$@"; }`;

let installation: Installation;
let controller: ControllerProcess;
let dir: string;
beforeAll(async () => {
  installation = await createInstallation();
  controller = await installation.controller();
  dir = await mkdtemp(join(tmpdir(), 'spoonbox-api-tour-'));
  await mkdir(join(dir, '.spoonbox'));
  await writeFile(join(dir, '.spoonbox', 'client.json'), JSON.stringify(reach(controller)));
  await mkdir(join(dir, 'bin'));
  await writeFile(join(dir, 'bin', 'curl'), curlProgram, { mode: 0o755 });
});
afterAll(async () => {
  await installation[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

test('every line of the tour of the API is answered as it says', { timeout: 180_000 }, async () => {
  const lines = await linesOfTour();
  const promised = lines.map((line) => / # (\d{3})$/.exec(line)?.[1] ?? null);
  expect(promised.filter((status) => status !== null).length).toBeGreaterThan(25);
  expect(lines.every((line, n) => promised[n] !== null || !line.includes('curl'))).toBe(true);

  const user = installation.newUser('alice');
  const script = lines.map((line, n) => `{ ${line.replaceAll('alice', user)}\n} > ${n}.out 2> ${n}.err`);
  await run([tellsStatus, ...script].join('\n'));

  const answered = await Promise.all(
    lines.map(async (line, n) => {
      const told = await readFile(join(dir, `${n}.err`), 'utf8');
      return `${line} => ${promised[n] === null ? told.trim() : (/(\d{3})\n$/.exec(told)?.[1] ?? told)}`;
    }),
  );
  expect(answered).toEqual(lines.map((line, n) => `${line} => ${promised[n] ?? ''}`));
  const outputOf = (part: string) =>
    readFile(join(dir, `${lines.findIndex((line) => line.includes(part))}.out`), 'utf8');
  expect(await outputOf('/v1/boxes?watch=1')).toMatch(/^id: 0\nevent: full\n/);
  expect(await outputOf('Last-Event-ID: $LAST')).not.toContain('event: full');
  expect(await outputOf('/v1/events?watch=1')).toContain('event: happened');
});

async function linesOfTour(): Promise<string[]> {
  const blocks = [...(await readFile(tour, 'utf8')).matchAll(/^```sh\n(.*?)^```/gms)];
  return blocks.flatMap(([, block = '']) => block.split('\n').filter((line) => line.trim() !== ''));
}

async function run(script: string): Promise<void> {
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}:${join(dir, 'bin')}` };
  const child = spawn('bash', ['-c', script], { cwd: dir, env, stdio: 'ignore' });
  await once(child, 'close');
}
